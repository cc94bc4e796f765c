"""TimescaleDB, if the database has it: readings in time chunks, old ones compressed.

Statements: https://docs.timescale.com/api/latest/hypertable/create_hypertable and
https://docs.timescale.com/api/latest/compression. Compression is part of the edition under the
Timescale licence; Debian's own packages, under Apache's, only have the chunks.
"""

import logging

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

log = logging.getLogger(__name__)

_CHUNKS = (
    (
        "SELECT create_hypertable('reading', 'measured_at', migrate_data => true, "
        "if_not_exists => true, chunk_time_interval => INTERVAL '7 days')"
    ),
)
_COMPRESSION = (
    (
        "ALTER TABLE reading SET (timescaledb.compress, "
        "timescaledb.compress_segmentby = 'meter_id', "
        "timescaledb.compress_orderby = 'measured_at')"
    ),
    "SELECT add_compression_policy('reading', INTERVAL '14 days', if_not_exists => true)",
)


def use_timescale(connection: Connection) -> None:
    """Turn the readings into a hypertable if the extension exists; otherwise change nothing.

    What the server refuses is logged and skipped: plain tables do as well.
    """
    if not _is_there(connection):
        return
    if _accepts(connection, _CHUNKS):
        _accepts(connection, _COMPRESSION)


def _is_there(connection: Connection) -> bool:
    if connection.dialect.name != "postgresql":
        return False
    query = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
    return connection.scalar(text(query)) is not None


def _accepts(connection: Connection, statements: tuple[str, ...]) -> bool:
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.execute(text(statement))
    except DBAPIError as error:
        log.warning("TimescaleDB: %s", str(error.orig).partition("\n")[0])
        return False
    return True
