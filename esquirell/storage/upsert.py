"""INSERT … ON CONFLICT, which SQLAlchemy only has per dialect, although both spell it alike."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from sqlalchemy import Table

if TYPE_CHECKING:
    from sqlalchemy.dialects.sqlite import Insert


# Built once: that takes longer than running them.
@cache
def insert_new(dialect: str, table: Table) -> "Insert":
    """Return an INSERT that leaves rows whose key exists as they are."""
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def insert_or_update(dialect: str, table: Table, columns: tuple[str, ...]) -> "Insert":
    """Return an INSERT that changes only `columns` of a row whose primary key exists."""
    insert = _insert(dialect, table)
    changes = {name: insert.excluded[name] for name in columns}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)


def _insert(dialect: str, table: Table) -> "Insert":
    # Loaded on use: importing the dialect that is not in use costs start time and memory.
    insert: Insert = import_module(f"sqlalchemy.dialects.{dialect}").insert(table)
    return insert
