"""The files in the state directory beside the database, and their names."""

import os
from pathlib import Path

from esquirell.domain.errors import DiskError

PAGE_PASSWORD = "web-password"  # noqa: S105 - the name of a file
PAGE_KEY = "web-key"
PAGE_TOKENS = "web-tokens.json"
PAGE_ENDED_SESSIONS = "web-ended-sessions.json"

# Files that can't be rebuilt: part of a backup.
OF_THE_PAGE = (PAGE_PASSWORD, PAGE_KEY, PAGE_TOKENS, PAGE_ENDED_SESSIONS)
METERS = "meters"
DESCRIPTIONS = "devices"
FOLDERS = (METERS, DESCRIPTIONS)

# Files that a service writes once its database exists.
INSTANCE = "instance"
MQTT_MEMORY = "mqtt.json"
MADE_BY_SERVICE = (INSTANCE, MQTT_MEMORY)

SPOOL = "spool.db"
# The database and the parts of SQLite beside it: left behind, they would be applied to another one.
SQLITE_PARTS = ("", "-journal", "-wal", "-shm")
# Exists while an archive is restored: after an interruption only some of its files are in place.
RESTORING = "restoring"
# These tell our directory from another one in its place: nothing writes them while it is gone. Each
# process of a service writes the first at its start. Other files may appear at any time.
_TRACES = (INSTANCE, SPOOL)


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


class StateDirectory:
    """Checks that the state directory of a running service is still the same one.

    When its disk is unmounted an empty directory remains, and another disk may be mounted over it:
    anything written there would be missing when the right disk is back. The directory of the first
    look counts as the right one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._device = _device(folder)

    def is_there(self) -> bool:
        """Whether the directory exists and is still the same one. Never raises."""
        now = _device(self.folder)
        if self._device is None:
            self._device = now
        if now is None or now == self._device:
            return now is not None
        # A disk that was plugged in again may have another number.
        return any(os.access(self.folder / name, os.F_OK) for name in _TRACES)

    def problem(self) -> str | None:
        """Return the sentence for a missing directory; None if it is there."""
        return None if self.is_there() else missing_state_dir(self.folder)

    def check(self) -> None:
        """Raise DiskError if it is gone: what is written would be missing when it is back."""
        if problem := self.problem():
            raise DiskError(problem)

    def unwritable(self) -> str | None:
        """Return the sentence for a directory that takes no new file; None if it does.

        The database in it may work on: that shows only when readings have to wait.
        """
        if os.access(self.folder, os.W_OK | os.X_OK):
            return None
        return (
            f"the state directory {self.folder} can't be written: change its owner or its "
            "permissions, or mount its disk for writing"
        )


def _device(folder: Path) -> int | None:
    """Return the device number of a directory's file system; None if there is no directory."""
    try:
        return folder.stat().st_dev if folder.is_dir() else None
    except OSError:
        return None


def half_restored(state_dir: Path) -> str | None:
    """Return the sentence for an interrupted restore; None if there was none."""
    marker = state_dir / RESTORING
    if not os.access(marker, os.F_OK):
        return None
    return (
        "esquirell restore FILE was interrupted: run it again, or keep the present state: "
        f"rm {marker}"
    )


def missing_state_dir(state_dir: Path) -> str:
    """Return the sentence for a state directory that has disappeared."""
    return (
        f"the state directory {state_dir} is gone: mount its disk again, or stop the service and "
        "put a backup in its place with esquirell restore FILE"
    )
