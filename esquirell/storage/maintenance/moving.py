"""Copying everything from one database into another, as from SQLite to PostgreSQL."""

from collections.abc import Callable

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.engine import Connection

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.tables import metadata

# Rows per batch.
BATCH = 2000

# Called with the table's name, the rows copied so far, and the total.
Report = Callable[[str, int, int], None]


def move(source: Database, target: Database, report: Report) -> dict[str, int]:
    """Copy all rows into an empty database; return the number of rows per table.

    The target is filled completely or stays empty; the source is not changed. Raises ConfigError
    when the target has rows or is the source, UnavailableError when one of them is unreachable or
    the counts differ at the end.
    """
    if source.url == target.url:
        raise ConfigError("This is the database in use: name another one to move to.")
    for database in (source, target):
        ensure_current(database)
    with source.read() as reader, target.write() as writer:
        _refuse_rows(writer, target)
        counts = {
            table.name: _copy(reader, writer, table, report) for table in metadata.sorted_tables
        }
        _check(writer, target, counts)
        _continue_numbers(writer)
    return counts


def _refuse_rows(writer: Connection, target: Database) -> None:
    for table in metadata.sorted_tables:
        if writer.execute(select(table).limit(1)).first():
            raise ConfigError(
                f"{target.describe()} holds rows of {table.name} already: name an empty database."
            )


def _copy(reader: Connection, writer: Connection, table: Table, report: Report) -> int:
    whole = _count(reader, table)
    done = 0
    report(table.name, done, whole)
    rows = reader.execution_options(yield_per=BATCH).execute(select(table)).mappings()
    for batch in rows.partitions():
        writer.execute(insert(table), [dict(row) for row in batch])
        done += len(batch)
        report(table.name, done, whole)
    return done


def _check(writer: Connection, target: Database, counts: dict[str, int]) -> None:
    for table in metadata.sorted_tables:
        found = _count(writer, table)
        if found != counts[table.name]:
            raise UnavailableError(
                f"{target.describe()} took {found} of {counts[table.name]} rows of {table.name}; "
                "all was undone: try again."
            )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def _continue_numbers(writer: Connection) -> None:
    """Set PostgreSQL's sequence past the ids of the copied meters."""
    if writer.dialect.name == "postgresql":
        newest = "SELECT setval(pg_get_serial_sequence('meter', 'id'), max(id)) FROM meter"
        writer.execute(text(newest))
