"""The spool: readings wait on this machine's disk while the database is unreachable."""

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError, SpoolError
from esquirell.domain.reading import Reading
from esquirell.domain.undated import Mark
from esquirell.storage import sqlite
from esquirell.storage.maintenance.restoring import set_aside
from esquirell.storage.reading_json import to_body, to_reading, to_undated, to_undated_body

log = logging.getLogger(__name__)

PATIENCE_S = 5.0
# Free pages of the file, 4 MiB, for the time when others have filled the disk. A reading takes half
# a KiB: those of eight hours from a dozen meters.
ROOM_PAGES = 1024
# What SQLite puts into a page of 4 KiB but for the number of the next one.
_CONTENT_BYTES = 4092
# A disk with less room than this is left alone.
WORTHWHILE_BYTES = 16 * 1024 * 1024

# Free pages stay in the file until they are given back (2: INCREMENTAL).
_SHRINKS = "PRAGMA auto_vacuum"
_BY_REQUEST = 2
# The journal stays as well: on a full disk there is no room for a new one.
_SET_UP = """
PRAGMA journal_mode = PERSIST;
PRAGMA journal_size_limit = 524288;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = OFF;
CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS undated (
    id INTEGER PRIMARY KEY AUTOINCREMENT, boot TEXT NOT NULL, uptime_s REAL NOT NULL,
    shown REAL NOT NULL, at TEXT, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS undated_moment ON undated (boot, uptime_s);
CREATE TABLE IF NOT EXISTS unreadable (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS room (body BLOB);
"""

# More undated readings than an hour can bring; the oldest are dropped first.
UNDATED_LIMIT = 100_000
# Raised by parsing a row that is not a reading.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Spool:
    """Readings in the order in which they were taken, in an SQLite file of their own.

    All processes of this machine share it; it is created when first needed. What was added survives
    a power cut. While its directory is gone (not `is_ours`), as with its disk, it takes nothing. On
    a disk that others have filled it uses the free pages that `reserve` has made in it.
    Readings without a time wait separately. A row that can't be understood is moved
    to the table `unreadable`, with a line in the log: it holds up nothing.
    """

    def __init__(self, file: Path, is_ours: Callable[[], bool] = lambda: True) -> None:
        self._file = file
        self._is_ours = is_ours

    def reserve(self) -> None:
        """Add the free pages to the file that are kept for a full disk; never raises.

        On a disk that is gone, or has little room, none are added.
        """
        with suppress(OSError, SpoolError):
            if not self._is_ours() or (not self._file.exists() and not self._has_much_room()):
                return
            with self.connect() as connection:
                missing = ROOM_PAGES - connection.execute("PRAGMA freelist_count").fetchone()[0]
                if missing < 0:
                    connection.executescript(f"PRAGMA incremental_vacuum({-missing})")
                elif missing and self._has_much_room():
                    # In two transactions: pages that are freed at once would not be written.
                    blob = (missing * _CONTENT_BYTES,)
                    connection.execute("INSERT INTO room VALUES (zeroblob(?))", blob)
                    connection.commit()
                    # What is overwritten goes through the journal, which keeps its size.
                    connection.execute("PRAGMA secure_delete = ON")
                    connection.execute("DELETE FROM room")
                    connection.commit()

    def _has_much_room(self) -> bool:
        found = os.statvfs(self._file.parent)
        return found.f_bavail * found.f_frsize >= WORTHWHILE_BYTES

    def add(self, readings: Iterable[Reading]) -> None:
        """Add readings. Raises SpoolError, as when the disk is full; then none is kept."""
        rows = [_row(reading) for reading in readings]
        with self.connect() as connection, connection:
            dated = [row for row in rows if len(row) == 1]
            connection.executemany("INSERT INTO waiting (body) VALUES (?)", dated)
            if len(dated) < len(rows):
                self._add_undated(connection, [row for row in rows if len(row) > 1])

    def count(self) -> int:
        """Count the readings waiting for the database or for the time. Raises SpoolError."""
        if not self._is_there():
            return 0
        query = "SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM undated)"
        with self.connect() as connection:
            return int(connection.execute(query).fetchone()[0])

    def is_empty(self) -> bool:
        """Whether it holds nothing, not even rows that are no readings; a damaged one does."""
        query = (
            "SELECT 1 FROM waiting UNION ALL SELECT 1 FROM undated "
            "UNION ALL SELECT 1 FROM unreadable"
        )
        try:
            if not self._is_there():
                return True
            with self.connect() as connection:
                return connection.execute(query).fetchone() is None
        except SpoolError:
            return False

    def oldest(self, limit: int, after: int = 0) -> tuple[Sequence[Reading], int]:
        """Return the oldest readings with a number above `after`, and the number of the last one.

        Raises SpoolError.
        """
        rows = self._waiting(limit, after) if self._is_there() else []
        return [reading for _, reading in rows], rows[-1][0] if rows else after

    def _waiting(self, limit: int, after: int) -> list[tuple[int, Reading]]:
        query = "SELECT id, body FROM waiting WHERE id > ? ORDER BY id LIMIT ?"
        return self._readable(
            "waiting", query, (after, limit), lambda row: to_reading(json.loads(row[1]))
        )

    def forget(self, number: int) -> None:
        """Remove the readings up to a number, once they are stored. Raises SpoolError."""
        self._remove("DELETE FROM waiting WHERE id <= ?", number)

    def _remove(self, query: str, number: int) -> None:
        with self.connect() as connection, connection:
            connection.execute(query, (number,))
        self.reserve()

    def set_aside(self, strange: Mapping[int, Exception]) -> None:
        """Move readings that the database never accepts out of the way. Raises SpoolError."""
        self._set_aside("waiting", strange)

    def undated(self) -> Sequence[Mark]:
        """Return when the readings without a time were taken, in order. Raises SpoolError."""
        if not self._is_there():
            return []
        query = "SELECT id, boot, uptime_s, shown FROM undated WHERE at IS NULL ORDER BY id"
        with self.connect() as connection:
            return [Mark(*row) for row in connection.execute(query)]

    def date(self, moments: Mapping[int, datetime]) -> None:
        """Record the times of readings, by number. Raises SpoolError."""
        rows = [(moment.isoformat(), number) for number, moment in moments.items()]
        with self.connect() as connection, connection:
            connection.executemany("UPDATE undated SET at = ? WHERE id = ?", rows)

    def dated(self, limit: int) -> Sequence[tuple[int, Reading]]:
        """Return the oldest readings whose time was found, with their numbers.

        They are as the meters sent them, not checked yet. Raises SpoolError.
        """
        if not self._is_there():
            return []
        query = (
            "SELECT id, boot, uptime_s, at, body FROM undated WHERE at NOTNULL ORDER BY id LIMIT ?"
        )
        return self._readable("undated", query, (limit,), _to_undated)

    def forget_dated(self, number: int) -> None:
        """Remove readings whose time was found, up to a number. Raises SpoolError."""
        self._remove("DELETE FROM undated WHERE at NOTNULL AND id <= ?", number)

    def _readable(
        self, table: str, query: str, values: Sequence[int], read: Callable[[Any], Reading]
    ) -> list[tuple[int, Reading]]:
        """Return the first rows that are readings, with their numbers; set the others aside.

        The result is empty only if nothing is left. Raises SpoolError.
        """
        while True:
            with self.connect() as connection:
                rows = connection.execute(query, values).fetchall()
            found, strange = [], {}
            for row in rows:
                try:
                    found.append((row[0], read(row)))
                except _UNREADABLE as error:
                    strange[row[0]] = error
            if strange:
                self._set_aside(table, strange)
            if found or not rows:
                return found

    def _set_aside(self, table: str, strange: Mapping[int, Exception]) -> None:
        """Move rows that can't be parsed to a table of their own. Raises SpoolError."""
        at = "at" if table == "undated" else "NULL"
        with self.connect() as connection, connection:
            for number in strange:
                # Constants of ours: a table, and its column.
                copy = (
                    f"INSERT INTO unreadable (at, body) SELECT {at}, body FROM {table} WHERE id = ?"  # noqa: S608 - see above
                )
                connection.execute(copy, (number,))
                connection.execute(f"DELETE FROM {table} WHERE id = ?", (number,))  # noqa: S608 - the same
        log.error(
            "%d rows of the spool %s can't be stored and were moved to its table unreadable: %s",
            len(strange),
            self._file,
            repr(next(iter(strange.values()))),
        )

    def _add_undated(
        self, connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]
    ) -> None:
        # Polls that share a read each add its reading; with a time they would be one row.
        connection.executemany(
            "INSERT INTO undated (boot, uptime_s, shown, body) SELECT ?1, ?2, ?3, ?4 WHERE NOT "
            "EXISTS (SELECT 1 FROM undated WHERE boot = ?1 AND uptime_s = ?2 AND body = ?4)",
            rows,
        )
        newest = "SELECT max(id) FROM undated"
        gone = connection.execute(
            f"DELETE FROM undated WHERE id <= ({newest}) - ?",  # noqa: S608 - a text of ours
            (UNDATED_LIMIT,),
        ).rowcount
        if gone:
            log.error("too many readings wait for the time: the %d oldest are lost", gone)

    def _is_there(self) -> bool:
        """Whether anything was ever added. Raises SpoolError, as on a disk that fails."""
        try:
            return self._file.exists()
        except OSError as error:
            raise SpoolError(f"the spool {self._file} can't be used: {error.strerror}") from error

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Open the file, which is made if it does not exist. Raises SpoolError."""
        if not self._is_ours():
            folder = self._file.parent
            raise SpoolError(f"the state directory {folder} is gone: mount its disk again")
        try:
            sqlite.prepare_file(self._file)
            with closing(sqlite3.connect(self._file, timeout=PATIENCE_S)) as connection:
                # Setting it again would write to the file, which a full disk refuses.
                if connection.execute(_SHRINKS).fetchone() != (_BY_REQUEST,):
                    connection.execute(f"{_SHRINKS} = {_BY_REQUEST}")
                connection.executescript(_SET_UP)
                yield connection
        except ConfigError as error:
            raise SpoolError(str(error)) from error
        except sqlite3.DatabaseError as error:
            self._replace_damaged(error)
            raise SpoolError(f"the spool {self._file} can't be used: {error}") from error

    def _replace_damaged(self, error: sqlite3.DatabaseError) -> None:
        if sqlite.is_damage(error):
            aside = set_aside(self._file, "damaged")
            log.error("the spool %s was damaged: it was moved to %s", self._file, aside)


def _row(reading: Reading) -> tuple[Any, ...]:
    """Return the row of a reading: its body alone if its time is known."""
    if not reading.undated:
        return (json.dumps(to_body(reading)),)
    mark, shown = reading.undated, reading.measured_at.timestamp()
    return mark.boot, mark.uptime_s, shown, json.dumps(to_undated_body(reading))


def _to_undated(row: tuple[int, str, float, str, str]) -> Reading:
    _, boot, uptime_s, at, body = row
    return to_undated(json.loads(body), boot, uptime_s, datetime.fromisoformat(at))
