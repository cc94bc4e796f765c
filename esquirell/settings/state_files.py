"""The files in the state directory beside the database, and their names."""

from pathlib import Path

PAGE_PASSWORD = "web-password"  # noqa: S105 - the name of a file
PAGE_KEY = "web-key"
PAGE_TOKENS = "web-tokens.json"
PAGE_ENDED_SESSIONS = "web-ended-sessions.json"

# What can't be rebuilt: part of a backup.
OF_THE_PAGE = (PAGE_PASSWORD, PAGE_KEY, PAGE_TOKENS, PAGE_ENDED_SESSIONS)
METERS = "meters"
DESCRIPTIONS = "devices"
FOLDERS = (METERS, DESCRIPTIONS)

# What a service writes once its database exists.
INSTANCE = "instance"
MQTT_MEMORY = "mqtt.json"
MADE_BY_SERVICE = (INSTANCE, MQTT_MEMORY)


def present(state_dir: Path) -> dict[str, Path]:
    """Return the existing files to keep, by their names below the state directory."""
    single = [state_dir / name for name in OF_THE_PAGE]
    nested = [file for name in FOLDERS for file in sorted((state_dir / name).glob("*"))]
    # A hidden file is still being written.
    found = [
        file for file in (*single, *nested) if file.is_file() and not file.name.startswith(".")
    ]
    return {str(file.relative_to(state_dir)): file for file in found}


def meters(state_dir: Path) -> list[Path]:
    """Return the files of the meters that were added."""
    return sorted((state_dir / METERS).glob("*.toml"))


def is_there(state_dir: Path) -> bool:
    """Whether a state directory exists; on a failing disk it does not. Never raises."""
    try:
        return state_dir.is_dir()
    except OSError:
        return False


def missing_state_dir(state_dir: Path) -> str:
    """Return the sentence that says that a state directory has disappeared."""
    return (
        f"the state directory {state_dir} is gone: mount its disk again, or stop the service and "
        "put a backup in its place with esquirell restore FILE"
    )
