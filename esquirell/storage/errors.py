"""The errors of a database, in our own words."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from esquirell.domain.errors import UnavailableError, UnstorableError
from esquirell.storage.address import shown
from esquirell.storage.sqlite import is_there

# By the name of SQLite's primary result code: https://www.sqlite.org/rescode.html
_SENTENCES = {
    "BUSY": "The database {place} is locked by another process: try again later.",
    "LOCKED": "The database {place} is locked by another process: try again later.",
    "FULL": "The disk of the database {place} is full: free some space.",
    "READONLY": "The database {place} can't be written: check its permissions and its disk.",
    "CANTOPEN": "The database {place} can't be opened: check its directory and its disk.",
    "IOERR": "The disk of the database {place} fails to read or write: it may be full or broken.",
}
_OF_THE_FILE = {"READONLY", "CANTOPEN", "IOERR"}
_DAMAGED = (
    "The database {place} is damaged or not an SQLite file: "
    "put a backup in its place with esquirell db restore FILE."
)
_NO_TABLES = "The database {place} lacks tables of this version: run esquirell db upgrade."
_PUT_BACK = (
    "mount its disk again, or stop the service and put a backup in its place with "
    "esquirell restore FILE."
)
_UNDEFINED_TABLE = "42P01"
_UNSTORABLE = (DataError, IntegrityError, sqlite3.DataError, sqlite3.IntegrityError)
# What the drivers say about a value that a database can't hold: sqlite3, psycopg.
_UNFIT = re.compile("binding parameter|cannot adapt type")


class FileError(UnavailableError):
    """An SQLite file can't be opened, read or written: its disk may have failed or be unmounted."""


class DamagedError(FileError):
    """The file is not a usable database: only a backup helps."""


class NotConnectedError(UnavailableError):
    """There is no connection to a server: it is unreachable, or refuses the login."""


class NoTablesError(UnavailableError):
    """The database is empty: it was never set up, or another one has replaced it."""


def missing_file(file: Path) -> UnavailableError:
    """Return the error for a database file that has disappeared."""
    folder = file.absolute().parent
    if not is_there(folder):
        return UnavailableError(f"The directory {folder} of the database is gone: {_PUT_BACK}")
    return UnavailableError(f"The database {file} is gone: {_PUT_BACK}")


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn the errors of SQLAlchemy and its drivers into UnavailableError."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise translate(error, url) from error


def translate(error: Exception, url: URL) -> UnavailableError:
    """Return an error of SQLAlchemy or a driver in our own words."""
    if isinstance(error, PoolTimeoutError):
        place = shown(url)
        return UnavailableError(
            f"All connections to the database {place} are busy: try again later."
        )
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    code = _code(cause)
    if code in {"CORRUPT", "NOTADB"}:
        return DamagedError(_DAMAGED.format(place=shown(url)))
    if code == _UNDEFINED_TABLE or "no such table" in str(cause):
        return NoTablesError(_NO_TABLES.format(place=shown(url)))
    if code in _SENTENCES:
        failed = FileError if code in _OF_THE_FILE else UnavailableError
        return failed(_SENTENCES[code].format(place=shown(url)))
    if isinstance(error, _UNSTORABLE) or _UNFIT.search(str(cause)):
        line = _first_line(cause, url)
        return UnstorableError(f"The database {shown(url)} can't store this: {line}.")
    # An error without a statement occurred while connecting.
    connected = not isinstance(error, OperationalError) or error.statement is not None
    kind = UnavailableError if connected else NotConnectedError
    return kind(f"The database {shown(url)} can't be used: {_first_line(cause, url)}.")


def _code(cause: BaseException) -> str:
    """Return SQLite's primary result code without its prefix, or PostgreSQL's SQLSTATE."""
    name = getattr(cause, "sqlite_errorname", None)
    if name is not None:
        return str(name).removeprefix("SQLITE_").partition("_")[0]
    return getattr(cause, "sqlstate", None) or ""


def _first_line(cause: BaseException, url: URL) -> str:
    line = next(iter(str(cause).splitlines()), type(cause).__name__).strip().rstrip(".")
    for secret in (url.password, url.query.get("password")):
        if secret:
            line = line.replace(str(secret), "***")
    return line
