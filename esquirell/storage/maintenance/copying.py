"""Copies of SQLite databases: complete, or not at all."""

import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from esquirell import whole_file
from esquirell.domain.errors import ConfigError

_COPY_LIMIT_S = 600


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
