"""Rows of a query at once, or page by page."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select
from sqlalchemy.engine import Connection, Row

from esquirell.storage.database import Database

Query = Select[*tuple[Any, ...]]
Rows = Sequence[Row[*tuple[Any, ...]]]


def paged(
    source: Database | Connection,
    query: Query,
    column: ColumnElement[Any],
    since: object,
    size: int,
) -> Iterator[Rows]:
    """Yield the rows of a query from `since` on, page by page, in the order of a column.

    Each page is found by seeking in the index of the column; those of a database are a transaction
    each, so that a long export delays no checkpoint.
    """
    query = query.order_by(column).limit(size)
    rows = rows_of(source, query.where(column >= since))
    while rows:
        yield rows
        if len(rows) < size:
            return
        rows = rows_of(source, query.where(column > getattr(rows[-1], str(column.key))))


def rows_of(source: Database | Connection, query: Query) -> Rows:
    """Return the rows of a query; of a database in a transaction. Raises UnavailableError."""
    if isinstance(source, Connection):
        return source.execute(query).all()
    with source.read() as connection:
        return connection.execute(query).all()
