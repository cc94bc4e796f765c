"""The statements of each poll, passed directly to SQLite's driver.

SQLAlchemy makes seventy calls per statement, which takes longer than the statement itself: here
it only compiles each once, to text. On PostgreSQL they run like any other statement.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Float, Select
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.dml import Insert

from esquirell.storage.sqlite import driver_connection
from esquirell.storage.tables import Instant

# Each engine has a dialect of its own, and a database that replaces another has a new engine.
_REMEMBERED = 64


def filled_up(names: Collection[str]) -> list[str]:
    """Repeat the last name up to a power of two, for a list in a statement.

    Each length is a separate statement, and the driver caches a hundred of them: with hundreds of
    meters in batches of all sizes they took twenty megabytes.
    """
    listed = list(names)
    missing = (1 << (len(listed) - 1).bit_length()) - len(listed) if listed else 0
    return listed + listed[-1:] * missing


def select_by_names(
    connection: Connection, query: Select[*tuple[Any, ...]], names: Collection[str]
) -> Sequence[Sequence[Any]]:
    """Run a query whose only parameter is the `names` of meters; return the rows.

    Its columns must have types that need no conversion.
    """
    wanted = filled_up(names)
    if connection.dialect.name != "sqlite":
        return connection.execute(query, {"names": wanted}).all()
    text = _query(connection.dialect, query, len(wanted))
    return driver_connection(connection).execute(text, wanted).fetchall()


def select_by_moment(
    connection: Connection, query: Select[*tuple[Any, ...]], moment: datetime
) -> Sequence[Sequence[Any]]:
    """Run a query whose only parameter is the `moment`; return the rows.

    Its columns must have types that need no conversion.
    """
    if connection.dialect.name != "sqlite":
        return connection.execute(query, {"moment": moment}).all()
    text, count = _query_by_moment(connection.dialect, query)
    given = [Instant().process_bind_param(moment, connection.dialect)] * count
    return driver_connection(connection).execute(text, given).fetchall()


def insert(connection: Connection, statement: Insert, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows, each with the values of all columns in their order.

    SQLAlchemy looks up a conversion for each value of each row; here only columns that need one
    are converted.
    """
    columns = statement.table.columns
    if connection.dialect.name != "sqlite":
        keys = columns.keys()
        connection.execute(statement, [dict(zip(keys, row, strict=True)) for row in rows])
        return
    text, processors = _insert(connection.dialect, statement)
    converted = [list(row) for row in rows]
    for row in converted:
        for place, process in processors:
            if row[place] is not None:
                row[place] = process(row[place])
    driver_connection(connection).executemany(text, converted)


@lru_cache(_REMEMBERED)
def _query(dialect: Dialect, query: Select[*tuple[Any, ...]], count: int) -> str:
    """Return the text of a query for this many names."""
    filled = query.params(names=[""] * count)
    return str(filled.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))


@lru_cache(_REMEMBERED)
def _query_by_moment(dialect: Dialect, query: Select[*tuple[Any, ...]]) -> tuple[str, int]:
    """Return the text of a query, and how often its parameter occurs."""
    text = str(query.compile(dialect=dialect))
    return text, text.count("?")


@lru_cache(_REMEMBERED)
def _insert(
    dialect: Dialect, statement: Insert
) -> tuple[str, list[tuple[int, Callable[[Any], Any]]]]:
    """Return the text of a statement, and the conversions of its columns, by position."""
    columns = list(statement.table.columns)
    found = [
        (place, column.type.dialect_impl(dialect).bind_processor(dialect))
        for place, column in enumerate(columns)
    ]
    # Numbers need no conversion.
    return str(statement.compile(dialect=dialect)), [
        (place, process)
        for place, process in found
        if process and not isinstance(columns[place].type, Float)
    ]
