"""INSERT … ON CONFLICT, which SQLAlchemy has per dialect only, though both write it alike."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, Table
from sqlalchemy.engine import Connection, Dialect

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert

# Each engine has one of its own, and a database that is put in another's place a new engine.
_DIALECTS = 8


def insert_new(connection: Connection, table: Table) -> "Insert":
    """Build an INSERT that leaves rows whose key is there already as they are."""
    return _insert_new(connection.dialect.name, table)


def insert_all_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, each with a value for every column; those whose key is there stay as they are.

    For each value of each row SQLAlchemy asks what is to be done with it, which takes longer than
    SQLite needs to store them: its driver gets them as they are, but for the few that change.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(insert_new(connection, table), rows)
        return
    statement, values_of, processors = _for_driver(connection.dialect, table)
    laid_out = []
    for row in rows:
        changed = {name: process(row[name]) for name, process in processors}
        laid_out.append(values_of({**row, **changed}))
    connection.exec_driver_sql(statement, laid_out)


def insert_or_update(connection: Connection, table: Table, columns: Iterable[str]) -> "Insert":
    """Build an INSERT that changes just `columns` of a row whose primary key is there already."""
    return _insert_or_update(connection.dialect.name, table, tuple(columns))


# Built once: that takes longer than to run them.
@cache
def _insert_new(dialect: str, table: Table) -> "Insert":
    return _insert(dialect, table).on_conflict_do_nothing()


@lru_cache(_DIALECTS)
def _for_driver(
    dialect: Dialect, table: Table
) -> tuple[str, Callable[[Any], tuple[Any, ...]], list[tuple[str, Callable[[Any], Any]]]]:
    """Return the statement, what lays a row out for it, and how values of some columns change."""
    statement = _insert_new(dialect.name, table).compile(dialect=dialect)
    names = [column.name for column in table.columns]
    # Numbers are stored as such whatever they are here.
    others = [column for column in table.columns if not isinstance(column.type, Float)]
    found = [(one.name, one.type.dialect_impl(dialect).bind_processor(dialect)) for one in others]
    processors: list[tuple[str, Callable[[Any], Any]]] = [one for one in found if one[1]]  # type: ignore[misc]  # not None
    values_of: Callable[[Any], tuple[Any, ...]] = itemgetter(*names)
    return str(statement), values_of, processors


@cache
def _insert_or_update(dialect: str, table: Table, columns: tuple[str, ...]) -> "Insert":
    insert = _insert(dialect, table)
    changes = {name: insert.excluded[name] for name in columns}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)


def _insert(dialect: str, table: Table) -> "Insert":
    # Loaded on use: importing the dialect that is not in use costs start time and memory.
    insert: Insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    return insert
