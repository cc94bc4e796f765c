"""Backups in a folder: complete or not there at all, the oldest removed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.storage.database import Database
from esquirell.storage.maintenance import care

PATTERN = "esquirell-*.db"


class Backups:
    """The newest `keep` backups of an SQLite database, in `folder`."""

    def __init__(
        self, database: Database, folder: Path, keep: int, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._folder = folder
        self._keep = keep
        self._clock = clock

    def make(self) -> dict[str, Any]:
        """Back up the database, also while it is written to; remove the oldest backups.

        Return the file, its size in bytes, and how many backups there are. Raises ConfigError when
        the folder can't be written, the database is damaged or not SQLite, and UnavailableError.
        """
        self._make_folder()
        moment = self._clock().astimezone(UTC)
        target = self._folder / f"esquirell-{moment:%Y%m%dT%H%M%SZ}.db"
        care.backup(self._database, target)
        kept = self.newest_first()
        for old in kept[self._keep :]:
            old.unlink(missing_ok=True)
        return {
            "file": str(target),
            "bytes": target.stat().st_size,
            "kept": min(len(kept), self._keep),
        }

    def newest_first(self) -> list[Path]:
        """Return the backups, by their names, which contain their time."""
        return sorted(self._folder.glob(PATTERN), reverse=True)

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The folder for backups {self._folder} can't be created ({error.strerror}): "
                "change backup.folder."
            ) from error
