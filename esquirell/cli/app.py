"""The table of commands; each is loaded when it is called, so that `--help` is quick."""

from importlib import import_module

import click

from esquirell.cli.call import Group

COMMANDS = {
    "demo": ("demo:demo", "Try everything with no meter and no configuration."),
    "init": ("init:init", "Write a configuration from your answers."),
    "scan": ("scan:scan", "List the Tuya devices on the LAN."),
    "run": ("run:run", "Run worker, scheduler and MQTT bridge in one process."),
    "worker": ("run:worker", "Run a worker alone."),
    "beat": ("run:beat", "Run the scheduler alone."),
    "bridge": ("run:bridge", "Run the MQTT bridge alone."),
    "web": ("web:web", "Serve the page alone; its password, tokens for programs."),
    "flower": ("flower:flower", "Show tasks and workers on a web page."),
    "watch": ("watch:watch", "Watch the meters live, as the service publishes them."),
    "fetch": ("fetch:fetch", "Read meters now: print, save and publish."),
    "meters": ("meters:meters", "List, show and test the configured meters."),
    "profiles": ("profiles:profiles", "List, show, check and try profiles of products."),
    "schedule": ("schedule:schedule", "List and change what runs when."),
    "tasks": ("tasks:tasks", "List the tasks that may be scheduled, or run one."),
    "log": ("log:log", "Show recent commands and their results."),
    "readings": ("readings:readings", "Show stored readings."),
    "statistics": ("readings:statistics", "Show readings by hour, day or month."),
    "cost": ("cost:cost", "Show what the energy has cost."),
    "tariffs": ("tariffs:tariffs", "List tariffs, and import prices for them."),
    "mqtt": ("mqtt:mqtt", "Remove everything of esquirell from the MQTT broker."),
    "ha": ("ha:ha", "Fill holes in Home Assistant's statistics, or undo it."),
    "db": ("db:db", "Take care of the database."),
    "backup": ("archive:backup", "Write everything of this machine into one file."),
    "restore": ("archive:restore", "Put back what backup wrote."),
    "config": ("config:config", "Show or check the configuration."),
    "doctor": ("doctor:doctor", "Check everything, and say what to do."),
    "systemd": ("systemd.commands:systemd", "Install the service of this machine, or remove it."),
    "health": ("health:health", "Tell by the exit code whether the service works."),
}


class Table(Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"esquirell.cli.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(cls=Table)
def app() -> None:
    """Tuya energy meters into a database and into Home Assistant, on a schedule."""
