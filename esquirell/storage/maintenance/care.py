"""Checking the database for damage, backing it up, and forgetting a meter."""

import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, text
from sqlalchemy.engine import Connection

from esquirell import whole_file
from esquirell.domain.clock import Clock
from esquirell.domain.errors import ConfigError, EsquirellError, UnavailableError
from esquirell.storage import sqlite
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import HEAD, missing_tables, read_revision
from esquirell.storage.tables import (
    corrected,
    correction,
    ledger,
    meter,
    reading,
    rollup,
    statistic,
)

_COPY_LIMIT_S = 600

# A damaged file may have thousands of findings.
_SHOWN = 10
_OF_A_METER = (correction, statistic, rollup, ledger)
PATTERN = "esquirell-*.db"


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database, even one in use, into a file, 0600: completely or not at all.

    Raises ConfigError when the target can't be written, and sqlite3.Error.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            _fill(temporary, source)
            whole_file.sync(temporary)
            whole_file.put(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{target} can't be written: {error.strerror}.") from error


def _fill(path: Path, source: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(path)) as connection:
        source.backup(connection, progress=_give_up_after(_COPY_LIMIT_S))
        # In WAL mode a copy could not be read from read-only media.
        connection.execute("PRAGMA journal_mode=DELETE")


def _give_up_after(seconds: float) -> Callable[[int, int, int], None]:
    deadline = time.monotonic() + seconds

    def check(_status: int, _remaining: int, _total: int) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"not done after {seconds:.0f} s")

    return check


def check(database: Database, *, quick: bool = False) -> list[str]:
    """Return what is wrong with a database, one sentence each; empty if it is sound.

    `quick` skips what takes long on a large file: indexes and references.
    """
    if database.file is not None and not os.access(database.file, os.F_OK):
        return [f"The database {database.describe()} does not exist yet: run esquirell db upgrade."]
    try:
        with database.read() as connection:
            return list(_problems(connection, database, quick=quick))
    except EsquirellError as error:
        return [str(error)]


def backup(database: Database, target: Path) -> None:
    """Copy an SQLite database into a new file, 0600, even while a service writes to it.

    The file is complete or does not appear at all. Raises ConfigError when it already exists, can't
    be written, or the database is damaged or not SQLite; UnavailableError.
    """
    file = sqlite_file(database)
    if os.access(target, os.F_OK):
        raise ConfigError(f"{target} already exists: name a new file.")
    if not os.access(file, os.F_OK):
        raise ConfigError(f"The database {file} does not exist yet: there is nothing to back up.")
    with database.connect() as connection:
        for damage in damages(connection, str(file), "quick_check"):
            raise ConfigError(damage)
        copy_database(sqlite.driver_connection(connection), target)


def sqlite_file(database: Database) -> Path:
    """Return the file of the database. Raises ConfigError for PostgreSQL."""
    if database.file is None:
        raise ConfigError(
            f"{database.describe()} is a PostgreSQL database: use pg_dump and pg_restore."
        )
    return database.file


def damages(connection: Connection, place: str, pragma: str) -> Iterator[str]:
    """Return what SQLite's `quick_check` or `integrity_check` finds in a file, called `place`."""
    for (finding,) in connection.execute(text(f"PRAGMA {pragma}({_SHOWN})")):
        if finding != "ok":
            yield f"The database {place} is damaged ({finding}): run esquirell db restore FILE."


def _problems(connection: Connection, database: Database, *, quick: bool) -> Iterator[str]:
    place = database.describe()
    found = read_revision(connection, place)
    if found != HEAD:
        yield f"The tables of {place} are at {found}, not at {HEAD}: run esquirell db upgrade."
    elif missing := missing_tables(connection):
        yield (
            f"The database {place} lacks {', '.join(missing)}: run esquirell db upgrade, which "
            "creates what is missing, empty, or restore a backup."
        )
    if database.file is not None:
        yield from damages(connection, place, "quick_check" if quick else "integrity_check")
        if not quick:
            yield from _orphans(connection, place)


def _orphans(connection: Connection, place: str) -> Iterator[str]:
    rows = connection.execute(text("PRAGMA foreign_key_check"))
    for table, parent in sorted({(row[0], row[2]) for row in rows}):
        yield f"The database {place} has rows of {table} without their {parent}."


def forget(database: Database, name: str) -> int:
    """Remove a meter with its readings; return their number. Raises UnavailableError."""
    with database.write() as connection:
        found = connection.execute(select(meter.c.id).where(meter.c.name == name)).scalar()
        if found is None:
            return 0
        count = connection.execute(delete(reading).where(reading.c.meter_id == found)).rowcount
        corrections = select(correction.c.id).where(correction.c.meter_id == found)
        connection.execute(delete(corrected).where(corrected.c.correction_id.in_(corrections)))
        for table in _OF_A_METER:
            connection.execute(delete(table).where(table.c.meter_id == found))
        connection.execute(delete(meter).where(meter.c.id == found))
    return count


def _name(moment: datetime) -> str:
    return f"esquirell-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}.db"


class Backups:
    """The newest `keep` backups of an SQLite database, in `folder`.

    Their names contain their time. A backup from the future was made while the clock was wrong,
    and is removed first: otherwise each new one would be removed instead. While `is_right` returns
    False, or raises UnavailableError, none is removed.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        keep: int,
        clock: Clock,
        is_right: Callable[[datetime], bool] = lambda _: True,
    ) -> None:
        self._database = database
        self._folder = folder
        self._keep = keep
        self._clock = clock
        self._is_right = is_right

    def make(self) -> dict[str, Any]:
        """Back up the database, also while it is written to; remove the oldest backups.

        Return the file, its size in bytes, and how many backups there are. Raises ConfigError when
        the folder can't be written, the database is damaged or not SQLite, and UnavailableError.
        """
        self._make_folder()
        target = self._folder / _name(self._clock())
        backup(self._database, target)
        size = target.stat().st_size
        return {"file": str(target), "bytes": size, "kept": self._rotate(target)}

    def newest_first(self) -> list[Path]:
        """Return the backups sorted by name.

        After a power cut the clock may be behind; the newest backups then lie in its future.
        """
        return sorted(self._folder.glob(PATTERN), key=lambda file: file.name, reverse=True)

    def _rotate(self, new: Path) -> int:
        """Remove the oldest backups, never the `new` one; return how many are kept."""
        others = [file for file in self.newest_first() if file != new]
        # The time of now, as copying may take long and the clock may have been set meanwhile.
        now = self._clock()
        if not self._trusts(now):
            return 1 + len(others)
        # A stable sort: the newest stay first among those of the past.
        others.sort(key=lambda file: file.name > _name(now))
        for old in others[self._keep - 1 :]:
            old.unlink(missing_ok=True)
        return 1 + len(others[: self._keep - 1])

    def _trusts(self, now: datetime) -> bool:
        try:
            return self._is_right(now)
        except UnavailableError:
            return False

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The folder for backups {self._folder} can't be created ({error.strerror}): "
                "change backup.folder."
            ) from error
