"""Queries an SQLite database without SQLAlchemy, which takes longer to load than the query."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

PATIENCE_S = 5.0

# A dummy command, rolled back at once.
ROW = (
    "INSERT INTO command_log (id, at, source, command, request, waits, status) "
    "VALUES (hex(randomblob(16)), 0, 'cli', 'health', '{}', 0, 'ok')"
)


def try_out(file: Path, patience_s: float = PATIENCE_S) -> None:
    """Write a row and roll it back, without creating a file. Raises sqlite3.Error."""
    address = f"file:{quote(str(file))}?mode=rw"
    with closing(
        sqlite3.connect(address, uri=True, timeout=patience_s, isolation_level=None)
    ) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(ROW)
        connection.execute("ROLLBACK")


def failures(file: Path) -> dict[str, int]:
    """Return the failed polls in a row of each meter, by name. Raises sqlite3.Error."""
    address = f"file:{quote(str(file))}?mode=rw"
    with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S)) as connection:
        return dict(connection.execute("SELECT name, failures FROM meter"))
