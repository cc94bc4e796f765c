"""The database: connections, transactions, and errors in our own words."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine

from esquirell.domain.errors import ConfigError
from esquirell.domain.extras import install_command
from esquirell.storage import glance, postgres, sqlite
from esquirell.storage.address import file_of, is_sqlite, parse, shown
from esquirell.storage.faults import DamagedError, NotConnectedError, gone, translated

Durability = Literal["full", "normal"]

log = logging.getLogger(__name__)

PATIENCE_S = 10
RENEW_EVERY_S = 5.0
_POOL = {"pool_size": 5, "max_overflow": 5, "pool_timeout": PATIENCE_S, "hide_parameters": True}


class Database:
    """One database for all threads of a process; others may use the same one beside it.

    With `durability` "full" a power cut loses nothing stored; "normal" writes less (SQLite).
    `patience_s` is how long a writer waits for other writers, in seconds. Nothing is opened
    before the first use, and only `create` makes a file: one that is gone, with its disk perhaps,
    is waited for. `on_damage` is called when the file turns out to be damaged, after the work that
    found it out has failed, `renew` for the URL when a server lets nobody in, whose password may
    have been changed. Raises ConfigError for a URL that can't work.
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
        self._inode: int | None = None
        self.on_damage: Callable[[], None] | None = None
        self.renew: Callable[[], str] | None = None
        self._renewed_at = float("-inf")

    def describe(self) -> str:
        """Name the database for people, without secrets."""
        return shown(self.url)

    def create(self) -> None:
        """Make the file of an SQLite database unless it is there. Raises ConfigError."""
        if self.file is not None:
            sqlite.prepare_file(self.file)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, made on first use. Raises ConfigError or UnavailableError."""
        with self._lock:
            # A forked child must not use the connections of its parent, and nobody those to a
            # file that another one has replaced: what is written there is lost.
            if self._engine is None or self._pid != os.getpid() or self._is_replaced():
                self._drop_engine()
                self._engine = self._make_engine()
                self._pid, self._inode = os.getpid(), self._inode_now()
            return self._engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection that only reads. Raises UnavailableError."""
        with self._watched(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction: committed at the end, undone by any error.

        Raises UnavailableError; then nothing is stored.
        """
        with self._watched(), self.engine.connect() as connection:
            writer = connection.execution_options(**{sqlite.WRITES: True})
            with writer.begin():
                yield writer

    def try_out(self) -> None:
        """Write a row and take it back. Raises ConfigError, or UnavailableError that says why."""
        if self.file is not None:
            if not sqlite.is_there(self.file):
                raise gone(self.file)
            with translated(self.url):
                glance.try_out(self.file)
            return
        with self._watched(), self.engine.connect() as connection:
            transaction = connection.begin()
            connection.execute(postgres.TRIAL)
            transaction.rollback()

    def close(self) -> None:
        """Close the connections that are not in use; the next use opens new ones."""
        with self._lock:
            self._drop_engine()

    def __del__(self) -> None:
        """Close what is open still when nobody uses this any more, as files do."""
        self._drop_engine()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            with translated(self.url):
                yield
        except DamagedError:
            if self.on_damage is not None:
                self.on_damage()
            raise
        except NotConnectedError:
            self._renew()
            raise

    def _renew(self) -> None:
        """Take the password that the configuration has now."""
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
        """Close the connections that are not in use, but none of a parent process."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None

    def _is_replaced(self) -> bool:
        return self._inode_now() != self._inode

    def _inode_now(self) -> int | None:
        """Return the number of the file, None for a server or when there is no file."""
        try:
            return os.stat(self.file).st_ino if self.file else None  # noqa: PTH116 - half as long
        except OSError:
            return None

    def _make_engine(self) -> Engine:
        if is_sqlite(self.url):
            return self._make_sqlite_engine()
        return self._make_postgres_engine()

    def _make_sqlite_engine(self) -> Engine:
        file = Path(self.url.database or "")
        if not sqlite.is_there(file):
            raise gone(file)
        sqlite.prepare_file(file)
        opener = sqlite.opener(file, self._patience_s)
        engine = create_engine(self.url, creator=opener, **_POOL)
        sqlite.configure(engine, self._durability)
        return engine

    def _make_postgres_engine(self) -> Engine:
        arguments = postgres.connect_args(self.url)
        try:
            engine = create_engine(self.url, connect_args=arguments, pool_pre_ping=True, **_POOL)
        except ImportError as error:
            raise ConfigError(
                f"PostgreSQL needs a driver that is not installed: {install_command('postgres')}"
            ) from error
        postgres.configure(engine, self._patience_s)
        return engine
