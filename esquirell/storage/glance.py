"""A glance at an SQLite database without SQLAlchemy, which takes longer to load than to ask."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

PATIENCE_S = 5.0


def has_meters(file: Path) -> bool:
    """Return whether the meters can be read; why not, `Readings.statuses` tells."""
    address = f"file:{quote(str(file))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=PATIENCE_S)) as connection:
            connection.execute("SELECT count(failures) FROM meter").fetchone()
    except sqlite3.Error:
        return False
    return True
