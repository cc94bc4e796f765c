"""SQLite only: the file, its settings, and who may write."""

import errno
import json
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import Connection, Engine, RootTransaction
from sqlalchemy.event import listen
from sqlalchemy.pool import QueuePool

from esquirell.domain.errors import ConfigError

log = logging.getLogger(__name__)

_SWITCH_LIMIT_S = 10
_SWITCH_PAUSE_S = 0.02

# A quarter of SQLite's default, which each connection fills as the database grows: the system
# caches what is read often anyway, for all of them.
CACHE_KIB = 512

# The log is truncated to this once a long reader is gone, during which it may have grown.
LOG_BYTES = 4 * 1024 * 1024

# The number of damaged entries to remember as logged.
_TEXTS_SAID = 100

_SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL"}


def is_there(path: Path) -> bool:
    """Whether a file or directory exists; False on a failing disk."""
    try:
        return path.exists()
    except OSError:
        return False


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error means that the file is damaged, or no database at all."""
    # Errors of the module itself have no name.
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def circumstances(path: Path) -> tuple[object, ...] | None:
    """Return what decides whether a database can be opened and written, for comparison.

    None if some of it is missing. Changes to the log's content do not matter.
    """
    try:
        file, folder = path.stat(), path.parent.stat()
        written = path.with_name(f"{path.name}-wal").stat()
        room = os.statvfs(path)
    except OSError:
        return None
    places = [
        (found.st_dev, found.st_ino, found.st_mode, found.st_uid)
        for found in (file, folder, written)
    ]
    return (*places, file.st_size, file.st_mtime_ns, room.f_flag, room.f_bavail > 0)


LogFiles = tuple[int | None, int | None]


def log_files(path: Path) -> LogFiles:
    """Return the numbers of a database's log and of its index, None for a missing one."""
    return _number(f"{path}-wal"), _number(f"{path}-shm")


def _number(name: str) -> int | None:
    try:
        return os.stat(name).st_ino  # noqa: PTH116 - half as long
    except OSError:
        return None


def emptied_log(engine: Engine, path: Path) -> bool:
    """Write to the database what is in a log that was deleted while it is open, as by a cleaner.

    What is stored goes to the deleted file then, which other processes don't see, and which is gone
    with this one. In one process a new log must not be opened beside the old index: return False
    while connections are in use, here or by a reader elsewhere. Raises sqlite3.Error.
    """
    pool = engine.pool
    if not isinstance(pool, QueuePool) or not pool.checkedin() + pool.checkedout():
        return True  # the last connection that is closed deletes both
    if pool.checkedout():
        return False
    with engine.connect() as connection:
        raw = driver_connection(connection)
        busy, pages, written = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    # While another one empties the log nothing is counted, and both are -1.
    is_empty = bool(busy == 0 and pages == written)
    if is_empty:
        log.error(
            "%s-wal or %s-shm was deleted while in use, which loses data if the service is killed: "
            "what they held is in the database now, and new ones are made",
            path,
            path.name,
        )
    return is_empty


def prepare_file(path: Path) -> None:
    """Create the file, readable by its owner only, unless it exists.

    SQLite gives its log files the permissions of the database. Raises ConfigError.
    """
    try:
        # Only a new file is opened: closing a second descriptor of a
        # database drops the locks that SQLite holds on it in this process
        # (https://www.sqlite.org/howtocorrupt.html, 2.2).
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        _check_usable(path)
    except OSError as error:
        raise ConfigError(_directory_sentence(path, error)) from error


def _check_usable(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"{path} is not a file, where a database belongs: move it away.")
    for place in (path, path.parent):
        if not os.access(place, os.R_OK | os.W_OK):
            raise ConfigError(f"{place} can't be written: change its permissions or database.url.")


def _directory_sentence(path: Path, error: OSError) -> str:
    directory = path.absolute().parent
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return f"The directory {directory} does not exist: create it or change database.url."
    return f"The database {path} can't be created in {directory}: {error.strerror}."


def opener(path: Path, patience_s: float) -> Callable[[], sqlite3.Connection]:
    """Return a function that opens an existing file; SQLite itself would create one.

    The connections wait this many seconds for other writers, and leave BEGIN to us.
    """
    address = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            address, uri=True, timeout=patience_s, isolation_level=None, check_same_thread=False
        )

    return connect


def configure(engine: Engine, durability: str) -> None:
    """Apply the settings to each new connection."""

    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")

    listen(engine, "connect", on_connect)


def begin(connection: Connection, *, writes: bool) -> RootTransaction:
    """Begin a transaction; if it `writes`, wait for other writers.

    A transaction that reads first and writes later fails at once, without waiting, if another
    one wrote in between. Raises sqlite3.Error.
    """
    # Bypasses SQLAlchemy, where this takes as long as a query; as a listener of its event "begin"
    # it would slow down every statement.
    driver_connection(connection).execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    return connection.begin()


class WriteQueue:
    """Lets one thread of this process write at a time, in order of arrival.

    SQLite has no queue of writers: a waiting one tries again every tenth of a second, and another
    one may have begun in between. Two threads that compute statistics in turn could keep readings
    waiting for as long as both take.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many threads wait for their turn."""
        return len(self._waiting)

    def take(self, patience_s: float) -> bool:
        """Wait for a turn, at most this many seconds; return whether it came."""
        with self._lock:
            if not self._busy:
                self._busy = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        try:
            came = mine.wait(patience_s)
        except BaseException:
            # Interrupted by a signal handler: an unclaimed turn would never be passed on.
            if not self._withdraw(mine):
                self.pass_on()
            raise
        return came or not self._withdraw(mine)

    def _withdraw(self, mine: threading.Event) -> bool:
        """Leave the queue; return False if the turn came at this very moment."""
        with self._lock:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True

    def pass_on(self) -> None:
        """End a turn; the next one in the queue gets it."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy = False


def use_log(connection: Connection) -> None:
    """Switch our database to WAL, so that readers never wait; the file remembers it.

    The connection must not be in a transaction. Raises sqlite3.OperationalError.
    """
    raw = driver_connection(connection)
    deadline = time.monotonic() + _SWITCH_LIMIT_S
    while True:
        try:
            raw.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            # When two connections switch at once, SQLite fails without its busy timeout.
            if time.monotonic() > deadline:
                raise
            time.sleep(_SWITCH_PAUSE_S)
        else:
            return


@lru_cache(_TEXTS_SAID)
def _unreadable(text: str) -> None:
    """Log once that an entry is damaged."""
    log.error("a damaged entry of the database counts as empty: %.60r", text)


def from_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """Parse the JSON of a column; SQLite stores any text, and a damaged one must not hide others.

    Returns None for invalid JSON.
    """
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        _unreadable(str(text))
        return None


def driver_connection(connection: Connection) -> sqlite3.Connection:
    """Return the sqlite3 connection behind SQLAlchemy's."""
    found = connection.connection.driver_connection
    if not isinstance(found, sqlite3.Connection):
        raise TypeError(f"not an SQLite connection: {found!r}")
    return found
