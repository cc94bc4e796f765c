"""Everything of ours on this machine in one archive: writing and restoring it."""

import os
import shutil
import socket
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.domain.reading import iso
from esquirell.runtime.upkeep import Upkeep
from esquirell.settings import Settings, private_files, state_files
from esquirell.storage import sqlite
from esquirell.storage.maintenance import archive
from esquirell.storage.maintenance.care import copy_database
from esquirell.storage.spool import Spool

_SQLITE = "database.db"
_POSTGRESQL = "database.dump"


class MachineBackup:
    """Writes and restores archives of a machine's database, meters, page and spool."""

    def __init__(self, settings: Settings, upkeep: Upkeep) -> None:
        self._settings = settings
        self._upkeep = upkeep

    def write(self, target: Path) -> dict[str, Any]:
        """Write a new archive, also while the service runs; return its contents.

        A damaged spool is left out: it must not cost the backup of all else. Raises ConfigError and
        UnavailableError.
        """
        archive.refuse_existing(target)
        facts = {
            "created_at": iso(datetime.now(UTC)),
            "esquirell": version("esquirell"),
            **self._where(),
        }
        with archive.folder_beside(target) as folder:
            spool, left_out = _copied_spool(self._settings.spool_file, folder)
            kept = state_files.present(self._settings.state_dir)
            files = {self._name: self._copy(folder), **spool, **kept}
            archive.write(target, facts, files)
        return {
            "file": str(target),
            "bytes": target.stat().st_size,
            "holds": sorted(files),
            "left_out": left_out,
        }

    def restore(self, source: Path) -> dict[str, Any]:
        """Restore everything; what was there before is kept aside. The service must not run.

        Raises ConfigError and UnavailableError; if the database can't be restored, nothing is
        changed. After a later failure no service starts until it is run again.
        """
        marker = self._settings.state_dir / state_files.RESTORING
        with archive.unpacked(source) as (manifest, files):
            found = dict(files)
            database = found.pop(self._name, None)
            if database is None:
                kind = "PostgreSQL" if _POSTGRESQL in found else "SQLite"
                raise ConfigError(
                    f"{source} holds a copy of a {kind} database, and database.url names another "
                    "kind: restore it there, then use esquirell db move"
                )
            was_half = marker.exists()
            private_files.write({marker: f"{source}\n"})
            try:
                aside = self._restore_database(database)
            except EsquirellError:
                if not was_half:
                    marker.unlink()
                raise
            replaced = self._restore_files(found)
            marker.unlink()
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

    def _copy(self, folder: Path) -> Path:
        """Copy the database into a folder; return the copy."""
        copy = folder / self._name
        if self._upkeep.database.file:
            self._upkeep.backup(copy)
        else:
            archive.dump(self._upkeep.database, copy)
        return copy

    def _restore_database(self, copy: Path) -> Path | None:
        if self._upkeep.database.file:
            return self._upkeep.restore(copy)
        archive.load(self._upkeep.database, copy)
        return None

    def _restore_files(self, files: Mapping[str, Path]) -> Path | None:
        """Restore the files beside the database; return where the old ones are now."""
        state_dir = self._settings.state_dir
        old = state_files.present(state_dir)
        is_empty = Spool(self._settings.spool_file).is_empty()
        parts = [f"{state_files.SPOOL}{part}" for part in state_files.SQLITE_PARTS]
        found = {name: state_dir / name for name in parts if os.path.lexists(state_dir / name)}
        if is_empty:
            # The next start makes it anew.
            for file in found.values():
                file.unlink()
        else:
            old |= found
        aside = _set_aside(old, state_dir) if old else None
        private_files.write({state_dir / name: file for name, file in files.items()})
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


def _copied_spool(spool: Path, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Copy the spool into a folder, if it holds readings; return the copy, or why there is none.

    Raises ConfigError when it is sound and can't be copied.
    """
    if not os.path.lexists(spool):
        return {}, []
    if not spool.is_file():
        return {}, [f"{spool} is not a file: move it away"]
    copy, address = folder / state_files.SPOOL, f"file:{quote(str(spool))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            copy_database(connection, copy)
    except sqlite3.Error as error:
        if not sqlite.is_damage(error):
            raise ConfigError(f"{spool} can't be copied: {error}") from error
        return {}, [f"{spool} is damaged, and the readings that waited in it are not in the backup"]
    return ({} if Spool(copy).is_empty() else {state_files.SPOOL: copy}), []
