"""INSERT … ON CONFLICT, which SQLAlchemy has per dialect only, though both write it alike."""

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from sqlalchemy import Table
from sqlalchemy.engine import Connection

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert


def insert_new(connection: Connection, table: Table) -> "Insert":
    """Build an INSERT that leaves rows whose key is there already as they are."""
    return _insert_new(connection.dialect.name, table)


def insert_or_update(connection: Connection, table: Table, columns: Iterable[str]) -> "Insert":
    """Build an INSERT that changes just `columns` of a row whose primary key is there already."""
    return _insert_or_update(connection.dialect.name, table, tuple(columns))


# Built once: that takes longer than to run them.
@cache
def _insert_new(dialect: str, table: Table) -> "Insert":
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _insert_or_update(dialect: str, table: Table, columns: tuple[str, ...]) -> "Insert":
    insert = _insert(dialect, table)
    changes = {name: insert.excluded[name] for name in columns}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)


def _insert(dialect: str, table: Table) -> "Insert":
    # Loaded on use: importing the dialect that is not in use costs start time and memory.
    insert: Insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    return insert
