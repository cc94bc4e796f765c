"""Everything of ours on this machine in one archive: writing and restoring it."""

import shutil
import socket
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from esquirell.domain.errors import ConfigError
from esquirell.domain.reading import iso
from esquirell.runtime.facts import VERSION
from esquirell.runtime.upkeep import Upkeep
from esquirell.settings import Settings, private_files, state_files
from esquirell.storage import sqlite
from esquirell.storage.maintenance import archive

_SQLITE = "database.db"
_POSTGRESQL = "database.dump"
_SPOOL = "spool.db"


class MachineBackup:
    """Writes and restores archives of a machine's database, meters, page and spool."""

    def __init__(self, settings: Settings, upkeep: Upkeep) -> None:
        self._settings = settings
        self._upkeep = upkeep

    def write(self, target: Path) -> dict[str, Any]:
        """Write a new archive, also while the service runs; return its contents.

        Raises ConfigError and UnavailableError.
        """
        archive.refuse_existing(target)
        facts = {"created_at": iso(datetime.now(UTC)), "esquirell": VERSION, **self._where()}
        with archive.folder_beside(target) as folder:
            files = self._copies(folder) | state_files.present(self._settings.state_dir)
            archive.write(target, facts, files)
        return {"file": str(target), "bytes": target.stat().st_size, "holds": sorted(files)}

    def restore(self, source: Path) -> dict[str, Any]:
        """Restore everything; what was there before is kept aside. The service must not run.

        Raises ConfigError and UnavailableError; if the database can't be restored, nothing is
        changed.
        """
        with archive.unpacked(source) as (manifest, files):
            found = dict(files)
            database = found.pop(self._name, None)
            if database is None:
                kind = "PostgreSQL" if _POSTGRESQL in found else "SQLite"
                raise ConfigError(
                    f"{source} holds a copy of a {kind} database, and database.url names another "
                    "kind: restore it there, then use esquirell db move"
                )
            aside = self._restore_database(database)
            replaced = self._restore_files(found)
        return {
            "file": str(source),
            "created_at": manifest.get("created_at"),
            "holds": sorted(files),
            "replaced": [str(path) for path in (aside, replaced) if path],
        }

    @property
    def _name(self) -> str:
        return _SQLITE if self._upkeep.database.file else _POSTGRESQL

    def _where(self) -> Mapping[str, Any]:
        return {"host": socket.gethostname(), "database": self._upkeep.database.describe()}

    def _copies(self, folder: Path) -> dict[str, Path]:
        copy = folder / self._name
        if self._upkeep.database.file:
            self._upkeep.backup(copy)
        else:
            archive.dump(self._upkeep.database, copy)
        copies = {self._name: copy}
        spool = self._settings.spool_file
        if spool.exists():
            copies[_SPOOL] = folder / _SPOOL
            _copy_sqlite(spool, copies[_SPOOL])
        return copies

    def _restore_database(self, copy: Path) -> Path | None:
        if self._upkeep.database.file:
            return self._upkeep.restore(copy)
        archive.load(self._upkeep.database, copy)
        return None

    def _restore_files(self, files: Mapping[str, Path]) -> Path | None:
        """Restore the files beside the database; return where the old ones are now."""
        state_dir = self._settings.state_dir
        old = state_files.present(state_dir)
        spool = self._settings.spool_file
        if spool.exists():
            old[_SPOOL] = spool
        aside = _set_aside(old, state_dir) if old else None
        contents: dict[Path, bytes] = {}
        for name, file in files.items():
            if name == _SPOOL:
                _copy_sqlite(file, spool)
            else:
                contents[state_dir / name] = file.read_bytes()
        private_files.write(contents)
        return aside


def _set_aside(files: Mapping[str, Path], state_dir: Path) -> Path:
    names = (state_dir / f"replaced-{number}" for number in count(1))
    folder = next(name for name in names if not name.exists())
    try:
        for name, file in files.items():
            target = folder / name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(file, target)
    except OSError as error:
        raise ConfigError(f"{folder} can't be written: {error.strerror}") from error
    return folder


def _copy_sqlite(source: Path, target: Path) -> None:
    address = f"file:{quote(str(source))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            sqlite.copy(connection, target)
    except sqlite3.Error as error:
        raise ConfigError(f"{source} can't be copied: {error}") from error
