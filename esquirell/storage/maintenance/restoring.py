"""Replacing an SQLite database by a backup, and setting a file aside."""

import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL

from esquirell import whole_file
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.errors import DamagedError, translated
from esquirell.storage.maintenance.care import damages, sqlite_file
from esquirell.storage.maintenance.copying import copy_database
from esquirell.storage.maintenance.revision import read_revision

# A file and SQLite's files beside it: left behind, they would be applied to the new file.
_PARTS = ("", "-wal", "-shm", "-journal")

_CLAIM_S = 1


def restore(source: Path, database: Database) -> Path | None:
    """Replace an SQLite database by a backup; return where the old file is now.

    A backup of an older version is upgraded at the next start. Raises ConfigError for a file that
    is missing, damaged, another program's or a newer version's, UnavailableError while the database
    is in use; then nothing is changed.
    """
    file = sqlite_file(database)
    staged = file.with_name(f"{file.name}.restoring")
    try:
        stage(source, staged)
        database.close()
        _claim(file)
        aside = set_aside(file, "replaced")
        whole_file.put(staged, file)
    except OSError as error:
        raise ConfigError(f"{file} can't be replaced: {error.strerror}.") from error
    finally:
        staged.unlink(missing_ok=True)
    return aside


def stage(source: Path, staged: Path) -> None:
    """Copy the backup beside the database and check the copy.

    Raises ConfigError when it is not usable.
    """
    if not source.is_file():
        raise ConfigError(f"{source} is not a file: name a backup.")
    address = f"file:{quote(str(source))}?mode=ro"
    try:
        with (
            translated(URL.create("sqlite", database=str(source))),
            closing(sqlite3.connect(address, uri=True)) as original,
        ):
            copy_database(original, staged)
        _examine(staged, str(source))
    except DamagedError as error:
        raise ConfigError(f"{source} is damaged or not an SQLite file: name a backup.") from error


def _examine(staged: Path, source: str) -> None:
    copy = Database(f"sqlite:///{staged}")
    try:
        with copy.read() as connection:
            if read_revision(connection, source) is None:
                raise ConfigError(f"{source} is empty: name a backup.")
            for _damage in damages(connection, source, "integrity_check"):
                raise ConfigError(f"{source} is damaged: name another backup.")
    finally:
        copy.close()


def _claim(file: Path) -> None:
    """Make sure that no program has the database open, and merge its log into it."""
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=_CLAIM_S)) as connection:
            # Leaving WAL mode fails while there is another connection.
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise UnavailableError(
            f"The database {file} is in use ({error}): stop esquirell first."
        ) from error
    except sqlite3.DatabaseError:
        # Damaged, which is why it is replaced: its log is kept aside with it.
        return


def set_aside(file: Path, why: str) -> Path | None:
    """Rename a database and the files beside it; return the new name, None if there is none."""
    parts = [part for part in _PARTS if file.with_name(file.name + part).exists()]
    if not parts:
        return None
    names = (file.with_name(f"{file.name}.{why}-{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    for part in parts:
        file.with_name(file.name + part).rename(aside.with_name(aside.name + part))
    return aside
