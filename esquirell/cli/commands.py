"""The table of commands by heading of `--help`: each as `module:name`, with its summary."""

SECTIONS = {
    "Get started": {
        "demo": ("demo:demo", "Try everything without a meter or a configuration."),
        "init": ("init:init", "Write a configuration from your answers."),
        "scan": ("scan:scan", "List the Tuya devices on the LAN."),
        "run": ("run:run", "Run worker, scheduler, MQTT bridge and page in one process."),
        "systemd": (
            "systemd.commands:systemd",
            "Install, inspect or remove the machine's service.",
        ),
        "doctor": ("doctor:doctor", "Check everything and say what to do."),
    },
    "Readings and costs": {
        "watch": ("demo:watch", "Watch the meters live, as the service publishes them."),
        "fetch": ("fetch:fetch", "Read meters now: print, save and publish."),
        "readings": ("readings:readings", "Show stored readings."),
        "statistics": ("readings:statistics", "Show readings by hour, day or month."),
        "cost": ("cost:cost", "Show what the energy has cost."),
        "tariffs": ("tariffs:tariffs", "List tariffs, and import prices for them."),
    },
    "Meters and schedules": {
        "meters": ("meters:meters", "List, show, test, add, change and remove meters."),
        "profiles": ("profiles:profiles", "List, show, check and try profiles of products."),
        "schedule": ("schedule:schedule", "List and change what runs when."),
        "tasks": ("tasks:tasks", "List the tasks that may be scheduled, or run one."),
        "log": ("log:log", "Show recent commands and their results."),
    },
    "Maintenance": {
        "config": ("config:config", "Show or check the configuration."),
        "health": ("health:health", "Exit with 0 only if the service works."),
        "backup": ("archive:backup", "Back up everything on this machine to one file."),
        "restore": ("archive:restore", "Restore what backup wrote."),
        "db": ("db:db", "Upgrade, check, back up and prune the database."),
        "ha": ("ha:ha", "Fill gaps in Home Assistant's statistics, or undo it."),
        "mqtt": ("mqtt:mqtt", "Remove esquirell's topics from the MQTT broker."),
    },
    "Single roles": {
        "worker": ("run:worker", "Run a worker alone."),
        "beat": ("run:beat", "Run the scheduler alone."),
        "bridge": ("run:bridge", "Run the MQTT bridge alone."),
        "web": ("web:web", "Serve the page alone; show its password; manage tokens."),
        "flower": ("run:flower", "Show tasks and workers on a web page (Flower)."),
    },
}

COMMANDS = {name: entry for commands in SECTIONS.values() for name, entry in commands.items()}

# Words of other programs, and what they are called here.
SYNONYMS = {
    "add": "meters add",
    "consumption": "statistics",
    "costs": "cost",
    "dashboard": "web",
    "devices": "meters list",
    "discover": "scan",
    "energy": "statistics",
    "export": "readings",
    "help": "--help",
    "history": "statistics",
    "install": "systemd install",
    "list": "meters list",
    "logs": "log",
    "password": "web password",
    "prices": "tariffs",
    "service": "systemd",
    "setup": "init",
    "start": "run",
    "status": "health",
    "test": "meters test",
    "ui": "web",
    "usage": "statistics",
    "version": "--version",
    "wizard": "init",
}
