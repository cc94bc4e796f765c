"""The database: connections and transactions."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine, RootTransaction
from sqlalchemy.exc import SQLAlchemyError

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.extras import install_command
from esquirell.storage import postgres, quick_query, sqlite
from esquirell.storage.address import file_of, parse, shown
from esquirell.storage.errors import (
    DamagedError,
    FileError,
    NotConnectedError,
    missing_file,
    translate,
    translated,
)
from esquirell.storage.postgres import ServerWatch
from esquirell.storage.sqlite import LogFiles, WriteQueue

Durability = Literal["full", "normal"]

log = logging.getLogger(__name__)

PATIENCE_S = 10
RENEW_EVERY_S = 5.0
NO_LOG: LogFiles = (None, None)
_BUSY = "The database {place} is busy with other changes: try again later."
# The connection that was used last is used next: the others need not fill their caches.
_POOL = {"pool_size": 5, "max_overflow": 5, "pool_use_lifo": True, "hide_parameters": True}


class Database:
    """One database for all threads of a process; other processes may use it, too.

    With `durability` "full" a power cut loses nothing stored; "normal" writes less (SQLite).
    `patience_s` is how long a writer waits for other writers, in seconds. Nothing is opened
    before the first use, and only `create` creates a file: a missing one, perhaps on an unmounted
    disk, is waited for. `on_damage` is called when the file turns out to be damaged, after the
    work that found it has failed; `renew` returns the URL when a server refuses the login, as its
    password may have changed. Raises ConfigError for an invalid URL.
    """

    _engine: Engine | None = None
    _pid = 0

    def __init__(
        self, url: str, *, durability: Durability = "full", patience_s: float = PATIENCE_S
    ) -> None:
        self.url = parse(url)
        self.file = file_of(self.url)
        """The file of an SQLite database; PostgreSQL has none."""

        self._durability = durability
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._opened: tuple[int, int] | None = None
        self._log: LogFiles = NO_LOG
        self.on_damage: Callable[[], None] | None = None
        self.renew: Callable[[], str] | None = None
        self._renewed_at = float("-inf")
        self._watch_lock = threading.Lock()
        self._server_watch: ServerWatch | None = None
        self._watch_pid = 0
        self._queue = WriteQueue()
        self._queue_pid = os.getpid()
        # The state of the file when a row could last be written.
        self._tried: tuple[object, ...] | None = None

    def describe(self) -> str:
        """Name the database for people, without secrets."""
        return shown(self.url)

    def create(self) -> None:
        """Create the file of an SQLite database unless it exists. Raises ConfigError."""
        if self.file is not None:
            sqlite.prepare_file(self.file)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, created on first use. Raises ConfigError or UnavailableError."""
        with self._lock:
            # A forked child must not use the connections of its parent, and nobody those to a
            # file that another one has replaced: what is written there is lost.
            is_ours = self._engine is not None and self._pid == os.getpid()
            if not is_ours or self._file_now() != self._opened or self._lost_log():
                self._drop_engine()
                is_sqlite = self.file is not None
                self._engine = (
                    self._make_sqlite_engine() if is_sqlite else self._make_postgres_engine()
                )
                self._pid, self._opened, self._log = os.getpid(), self._file_now(), NO_LOG
            assert self._engine is not None  # noqa: S101 - for the type checker
            return self._engine

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection for use outside of transactions. Raises UnavailableError."""
        with self._watched(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads. Raises UnavailableError."""
        with self._watched(), self.engine.connect() as connection:
            if self.file is not None:
                sqlite.begin(connection, writes=False)
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction: committed at the end, rolled back by any error.

        Raises UnavailableError; then nothing is stored.
        """
        with (
            self._watched(),
            self._turn(),
            self.engine.connect() as connection,
            self._begin(connection),
        ):
            yield connection

    def try_out(self) -> None:
        """Write a row and roll it back. Raises ConfigError, or UnavailableError with the reason."""
        if self.file is not None:
            self._try_out_file(self.file)
            return
        with self._watched(), self.engine.connect() as connection:
            transaction = connection.begin()
            connection.execute(postgres.TRIAL)
            transaction.rollback()

    def _try_out_file(self, file: Path) -> None:
        """Try out a file by opening it anew, unless nothing about it has changed since it worked.

        Opening detects most problems; but as root SQLite also sets the owner of the log each time,
        which writes a page to the disk.
        """
        if not sqlite.is_there(file):
            raise missing_file(file)
        before, self._tried = self._tried, None
        if before is None or before != sqlite.circumstances(file):
            with translated(self.url):
                quick_query.try_out(file)
        else:
            with (
                self._watched(),
                self._turn(),
                self.engine.connect() as connection,
                self._begin(connection) as transaction,
            ):
                connection.exec_driver_sql(quick_query.ROW)
                transaction.rollback()
        self._tried = sqlite.circumstances(file)

    def close(self) -> None:
        """Close idle connections; the next use opens new ones."""
        with self._lock:
            self._drop_engine()

    def __del__(self) -> None:
        """Close everything still open when this object is no longer used, as files do."""
        self._drop_engine()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with self._waiting():
            try:
                yield
            except (SQLAlchemyError, sqlite3.Error) as error:
                failure = translate(error, self.url)
                if isinstance(failure, FileError):
                    # An open file stays on the failed disk, even after that is mounted again.
                    self.close()
                if isinstance(failure, DamagedError) and self.on_damage is not None:
                    self.on_damage()
                elif isinstance(failure, NotConnectedError):
                    self._renew()
                raise failure from error

    def _begin(self, connection: Connection) -> RootTransaction:
        if self.file is None:
            return connection.begin()
        return sqlite.begin(connection, writes=True)

    def _waiting(self) -> AbstractContextManager[None]:
        """Watch a use of the database, if it is a server that may stop answering."""
        if self.file is not None:
            return nullcontext()
        return self._watch().waiting()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until no other thread writes to an SQLite database; a server queues by itself."""
        if self.file is None:
            yield
            return
        queue = self.writers()
        if not queue.take(self._patience_s):
            raise UnavailableError(_BUSY.format(place=shown(self.url)))
        try:
            yield
        finally:
            queue.pass_on()

    def writers(self) -> WriteQueue:
        """Return the write queue of this process: a forked child has an empty one."""
        with self._lock:
            if self._queue_pid != os.getpid():
                self._queue, self._queue_pid = WriteQueue(), os.getpid()
            return self._queue

    def _watch(self) -> ServerWatch:
        """Return the server watch of this process: a fork has none of its parent's threads."""
        with self._watch_lock:
            if self._server_watch is None or self._watch_pid != os.getpid():
                self._server_watch = ServerWatch(
                    lambda: postgres.ask(self.url), self.close, self.describe()
                )
                self._watch_pid = os.getpid()
            return self._server_watch

    def _renew(self) -> None:
        """Switch to the password that is configured now."""
        now = time.monotonic()
        if self.renew is None or now - self._renewed_at < RENEW_EVERY_S:
            return
        self._renewed_at = now
        try:
            password = parse(self.renew()).password
        except ConfigError as error:
            log.debug("the password of the database can't be read again: %s", error)
            return
        if password != self.url.password:
            log.info("the password of the database %s was changed", self.describe())
            with self._lock:
                self.url = self.url.set(password=password)
                self._drop_engine()

    def _drop_engine(self) -> None:
        """Close idle connections, but none of a parent process."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None

    def _lost_log(self) -> bool:
        """Whether the log was deleted while it was in use, and all of it is in the database now.

        Until it could be emptied the deleted one stays the known one. Raises sqlite3.Error.
        """
        if self.file is None or self._engine is None:
            return False
        found = sqlite.log_files(self.file)
        if None in self._log:
            self._log = found  # SQLite makes one file after the other
            return False
        return found != self._log and sqlite.emptied_log(self._engine, self.file)

    def _file_now(self) -> tuple[int, int] | None:
        """Return the device and inode numbers of the file.

        A copy of a whole disk has the same inodes. None for a server or when there is no file.
        """
        if self.file is None:
            return None
        try:
            found = os.stat(self.file)  # noqa: PTH116 - takes half as long
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _make_sqlite_engine(self) -> Engine:
        file = Path(self.url.database or "")
        if not sqlite.is_there(file):
            raise missing_file(file)
        try:
            sqlite.prepare_file(file)
        except ConfigError as error:
            # It was fine when the service began: something else took its place, or its rights.
            raise FileError(str(error)) from error
        opener = sqlite.opener(file, self._patience_s)
        engine = create_engine(
            self.url,
            creator=opener,
            json_deserializer=sqlite.from_json,
            pool_timeout=self._patience_s,
            **_POOL,
        )
        sqlite.configure(engine, self._durability)
        return engine

    def _make_postgres_engine(self) -> Engine:
        arguments = postgres.connect_args(self.url)
        try:
            engine = create_engine(
                self.url,
                connect_args=arguments,
                pool_pre_ping=True,
                pool_timeout=self._patience_s,
                **_POOL,
            )
        except ImportError as error:
            raise ConfigError(
                f"PostgreSQL needs a driver that is not installed: {install_command('postgres')}"
            ) from error
        postgres.configure(engine, self._patience_s, self._watch())
        return engine
