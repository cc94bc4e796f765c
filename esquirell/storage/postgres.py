"""PostgreSQL only: time limits of connections and statements."""

from contextlib import suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL, Connection, Engine, ExecutionContext
from sqlalchemy.event import listen

from esquirell.storage.server_watch import ServerWatch

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


def configure(engine: Engine, patience_s: float, watch: ServerWatch) -> None:
    """Set the time limits of statements and locks on each new connection, and watch it."""
    settings = {
        "timezone": "UTC",
        "statement_timeout": f"{STATEMENT_LIMIT_S}s",
        "lock_timeout": f"{patience_s * 1000:.0f}ms",
    }

    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - an optional driver
        watch.opened(connection)
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.commit()

    # A connection that was cut is replaced at once.
    listen(engine, "do_connect", lambda *_: watch.check())
    listen(engine, "connect", on_connect)
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
