"""Where readings wait on the disk of this machine while the database is away."""

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from esquirell.domain.errors import ConfigError, SpoolError
from esquirell.domain.reading import Reading
from esquirell.storage import sqlite
from esquirell.storage.maintenance.restoring import set_aside
from esquirell.storage.reading_json import to_body, to_reading

log = logging.getLogger(__name__)

PATIENCE_S = 5.0

# A spool that is empty again gives its space back.
_SET_UP = """
PRAGMA auto_vacuum = FULL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
"""


class Spool:
    """Readings in the order in which they were taken, in an SQLite file of its own.

    All processes of this machine share it; it is made when it is first needed. What was added
    survives a power cut.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def add(self, readings: Iterable[Reading]) -> None:
        """Keep readings. Raises SpoolError, as when the disk is full; then none is kept."""
        rows = [(json.dumps(to_body(reading)),) for reading in readings]
        with self._open() as connection, connection:
            connection.executemany("INSERT INTO waiting (body) VALUES (?)", rows)

    def count(self) -> int:
        """Count the readings that wait. Raises SpoolError."""
        if not self._file.exists():
            return 0
        with self._open() as connection:
            return int(connection.execute("SELECT count(*) FROM waiting").fetchone()[0])

    def oldest(self, limit: int) -> tuple[Sequence[Reading], int]:
        """Give the readings that wait longest, and the number up to which they reach.

        Raises SpoolError.
        """
        if not self._file.exists():
            return [], 0
        with self._open() as connection:
            query = "SELECT id, body FROM waiting ORDER BY id LIMIT ?"
            rows = connection.execute(query, (limit,)).fetchall()
        readings = [to_reading(json.loads(body)) for _, body in rows]
        return readings, rows[-1][0] if rows else 0

    def forget(self, number: int) -> None:
        """Drop the readings up to a number, as they are stored. Raises SpoolError."""
        with self._open() as connection, connection:
            connection.execute("DELETE FROM waiting WHERE id <= ?", (number,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            sqlite.prepare_file(self._file)
            with closing(sqlite3.connect(self._file, timeout=PATIENCE_S)) as connection:
                connection.executescript(_SET_UP)
                yield connection
        except ConfigError as error:
            raise SpoolError(str(error)) from error
        except sqlite3.DatabaseError as error:
            self._replace_damaged(error)
            raise SpoolError(f"the spool {self._file} cannot be used: {error}") from error

    def _replace_damaged(self, error: sqlite3.DatabaseError) -> None:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            aside = set_aside(self._file, "damaged")
            log.error("the spool %s was damaged: it now lies in %s", self._file, aside)
