"""PostgreSQL only: time limits of connections and statements, and an end to waiting for it."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from sqlalchemy import text
from sqlalchemy.engine import URL, Connection, Engine, ExecutionContext
from sqlalchemy.event import listen
from sqlalchemy.pool import ConnectionPoolEntry

from esquirell.domain.errors import UnavailableError

log = logging.getLogger(__name__)

STATEMENT_LIMIT_S = 60
# The minimum that libpq accepts.
ASK_LIMIT_S = 2

# An execution option: numbers are read in half the time that text takes. Only for our own tables,
# as psycopg can't read all of the server's own types that way.
BINARY: dict[str, Any] = {"esquirell_binary": True}
# psycopg.pq.Format.BINARY
_BINARY_FORMAT = 1

# Inserts a dummy command, rolled back at once: shows that writing is allowed.
TRIAL = text(
    "INSERT INTO command_log (id, at, source, command, request, waits, status) "
    "VALUES (md5(random()::text), now(), 'cli', 'health', '{}', false, 'ok')"
)

# libpq's own parameters, in seconds but for tcp_user_timeout (ms):
# https://www.postgresql.org/docs/current/libpq-connect.html
_CONNECT = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "esquirell",
    # A database created in the C locale has no encoding (SQL_ASCII): text would arrive as bytes.
    "client_encoding": "utf8",
}


# Whether a connection is pooled, in what SQLAlchemy keeps with it.
POOLED = "esquirell_pooled"
# How values are written, which psycopg can't read in every style, and the time limits.
_SETTINGS = (
    "SELECT set_config('timezone', 'UTC', %(local)s), "
    "set_config('datestyle', 'ISO', %(local)s), "
    "set_config('extra_float_digits', '3', %(local)s), "
    "set_config('statement_timeout', %(statement)s, %(local)s), "
    "set_config('lock_timeout', %(lock)s, %(local)s)"
)


class NotAnsweringError(UnavailableError):
    """The server does not answer; no request is sent to it until it does."""


class ServerWatch:
    """Watches uses of a server, in a thread that runs while there are any.

    A frozen server, or a network that drops packets, ends no connection: its kernel may
    acknowledge data that is never read, and its own time limits are frozen, too. `ask` opens a new
    connection, and raises TimeoutError when there is no answer in time. Then all connections are
    cut, `on_lost` is called, and each new request is refused at once, until `ask` succeeds again.
    The server is tested when a use takes longer than `suspect_after_s`.
    """

    suspect_after_s = 2.0
    look_every_s = 1.0
    ask_again_s = 2.0

    def __init__(self, ask: Callable[[], None], on_lost: Callable[[], None], place: str) -> None:
        self._ask = ask
        self._on_lost = on_lost
        self._place = place
        self._lock = threading.Lock()
        self._is_watching = False
        self._since: dict[object, float] = {}
        self._connections: WeakSet[Any] = WeakSet()
        self._is_lost = False

    def opened(self, connection: object) -> None:
        """Register a connection of the driver."""
        with self._lock:
            self._connections.add(connection)

    def check(self) -> None:
        """Raise NotAnsweringError while the server is lost."""
        if self._is_lost:
            raise self._error()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Watch a use of the server. Raises NotAnsweringError at once while it is lost."""
        self.check()
        mark = self._begin()
        try:
            yield
        except UnavailableError as error:
            if self._is_lost:
                raise self._error() from error
            raise
        finally:
            with self._lock:
                del self._since[mark]

    def _begin(self) -> object:
        mark = object()
        with self._lock:
            self._since[mark] = time.monotonic()
            if not self._is_watching:
                self._is_watching = self._start()
        return mark

    def _start(self) -> bool:
        """Start watching; return whether a thread could be started: if not, the next use tries."""
        try:
            threading.Thread(target=self._run, name="database-watch", daemon=True).start()
        except RuntimeError as error:
            log.warning("the database %s is not watched: %s", self._place, error)
            return False
        return True

    def _error(self) -> NotAnsweringError:
        return NotAnsweringError(f"The database {self._place} does not answer.")

    def _run(self) -> None:
        while (oldest := self._oldest()) is not None:
            if time.monotonic() - oldest >= self.suspect_after_s:
                self._suspect()
            time.sleep(self.look_every_s)

    def _oldest(self) -> float | None:
        """Return when the oldest current use began; None ends the watch."""
        with self._lock:
            self._is_watching = bool(self._since)
            return min(self._since.values(), default=None)

    def _suspect(self) -> None:
        if self._answers():
            return
        self._is_lost = True
        log.warning("the database %s does not answer: its connections are cut", self._place)
        self._cut()
        self._on_lost()
        while not self._answers():
            time.sleep(self.ask_again_s)
            # A connection that was being opened meanwhile may have succeeded since.
            self._cut()
        log.info("the database %s answers again", self._place)
        self._is_lost = False

    def _answers(self) -> bool:
        try:
            self._ask()
        except TimeoutError:
            return False
        except Exception as error:  # noqa: BLE001 - other errors do not mean that the server is lost
            # The test itself failed, for instance because of too many open files.
            log.debug("the database %s could not be tested: %r", self._place, error)
        return True

    def _cut(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            # Closing a socket does not wake its waiters; shutting it down does.
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as cut:
                cut.shutdown(socket.SHUT_RDWR)


def connect_args(url: URL) -> dict[str, Any]:
    """Return the time limits of a connection; those set in the user's URL take precedence."""
    return {key: value for key, value in _CONNECT.items() if key not in url.query}


def ask(url: URL) -> None:
    """Open and close a connection. Raises TimeoutError when there is no answer in time.

    Any answer, even an error, shows that the server is reachable.
    """
    import psycopg  # noqa: PLC0415 - an optional driver

    arguments = {**url.translate_connect_args(username="user", database="dbname"), **url.query}
    with suppress(psycopg.Error):
        try:
            psycopg.connect(**arguments | {"connect_timeout": ASK_LIMIT_S}).close()
        except psycopg.errors.ConnectionTimeout as error:
            raise TimeoutError from error


def _is_pooled(connection: Any) -> bool:  # noqa: ANN401 - an optional driver
    """Whether a pooler such as PgBouncer is in between: then no session need be ours for long."""
    (process,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(process != connection.info.backend_pid)


def configure(engine: Engine, patience_s: float, watch: ServerWatch) -> None:
    """Set styles, and time limits of statements and locks, on each new connection, and watch it.

    Behind a pooler they are set in each transaction: the session serves other programs as well.
    """
    limits = {"statement": f"{STATEMENT_LIMIT_S}s", "lock": f"{patience_s * 1000:.0f}ms"}

    def on_connect(connection: Any, record: ConnectionPoolEntry) -> None:  # noqa: ANN401 - an optional driver
        watch.opened(connection)
        record.info[POOLED] = _is_pooled(connection)
        if record.info[POOLED]:
            # What one transaction prepares, the next one may not find, or find from another client.
            connection.prepare_threshold = None
        else:
            connection.execute(_SETTINGS, limits | {"local": False})
        connection.commit()

    def on_begin(connection: Connection) -> None:
        if connection.info[POOLED]:
            connection.exec_driver_sql(_SETTINGS, limits | {"local": True})

    # A connection that was cut is replaced at once.
    listen(engine, "do_connect", lambda *_: watch.check())
    listen(engine, "connect", on_connect)
    listen(engine, "begin", on_begin)
    listen(engine, "before_cursor_execute", _choose_format)


def _choose_format(
    _connection: Connection,
    cursor: Any,  # noqa: ANN401 - an optional driver
    _statement: str,
    _parameters: object,
    context: ExecutionContext,
    _many: bool,
) -> None:
    if context.execution_options.keys() >= BINARY.keys():
        cursor.format = _BINARY_FORMAT
