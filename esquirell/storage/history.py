"""Stored readings: the latest, and streams page by page."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, func, select

from esquirell.domain.reading import MeterStatus, Reading
from esquirell.domain.record import record
from esquirell.storage import meters
from esquirell.storage.database import Database
from esquirell.storage.paging import Rows, paged, rows_of
from esquirell.storage.postgres import BINARY
from esquirell.storage.tables import QUANTITY_COLUMNS, meter, reading, rollup

if TYPE_CHECKING:
    from esquirell.domain.hour import Batch


class ColumnSelection:
    """What a query reads from a row: all values, or those of some quantity keys."""

    def __init__(self, keys: Collection[str] | None = None) -> None:
        self._wanted = keys
        self._wide = tuple(filter(self._wants, QUANTITY_COLUMNS))
        wide = (reading.c[key] for key in self._wide)
        self.columns = (reading.c.measured_at, reading.c.extra, *wide)

    def to_reading(self, meter: str, row: Sequence[Any]) -> Reading:
        """Turn a row of `columns` into a reading; null is absent."""
        measured_at, extra, wide = row[0], row[1], row[2:]
        values = {
            key: value for key, value in zip(self._wide, wide, strict=True) if value is not None
        }
        if extra:
            values |= {key: value for key, value in extra.items() if self._wants(key)}
        return Reading(meter, measured_at, values)

    def _wants(self, key: str) -> bool:
        return self._wanted is None or key in self._wanted


# Rows in memory at once, shared by the meters of a query.
_HELD_ROWS = 4000
_LEAST_PAGE = 20
# Times are stored in milliseconds.
_LEAST = timedelta(milliseconds=1)


@record
class Span:
    """What to stream: from `since` until just before `until`, in the given shape."""

    since: datetime
    until: datetime
    shape: ColumnSelection


class ReadingHistory:
    """Reads stored readings and the meters' status."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def statuses(self) -> dict[str, MeterStatus]:
        """Return the status of every meter ever seen, by name. Raises UnavailableError."""
        with self._database.read() as connection:
            return meters.read_statuses(connection)

    def counts(self) -> dict[str, int]:
        """Count the readings of every meter ever seen, by name. Raises UnavailableError."""
        query = (
            select(meter.c.name, func.count(reading.c.measured_at).label("readings"))
            .outerjoin_from(meter, reading)
            .group_by(meter.c.name)
            .order_by(meter.c.name)
        )
        return {row.name: row.readings for row in rows_of(self._database, query)}

    def latest(self) -> dict[str, Reading]:
        """Return the latest reading of each meter, by name. Raises UnavailableError."""
        shape = ColumnSelection()
        query = (
            select(meter.c.name, *shape.columns)
            .join_from(meter, reading)
            .where(reading.c.measured_at == meters.newest())
        )
        rows = rows_of(self._database, query)
        return {name: shape.to_reading(name, row) for name, *row in rows}

    def batches(
        self, name: str, span: tuple[datetime, datetime], keys: Collection[str] | None = None
    ) -> Iterator["Batch"]:
        """Stream the readings of a meter by columns, plus one on either side of the span.

        Batches contain whole quarters of an hour; `keys` limits the values; an unknown name has
        none. Raises UnavailableError, also from the iterator.
        """
        from esquirell.storage.columns import Columns, by_whole_quarters  # noqa: PLC0415 - rarely needed

        with self._database.read() as connection:
            ids = meters.known_ids(connection, [name])
        if name in ids:
            columns = Columns(keys)
            wider = self._around(name, span)
            pages = _pages(self._database, ids[name], wider, columns.columns, _HELD_ROWS)
            yield from map(columns.to_batch, by_whole_quarters(pages))

    def _around(self, name: str, span: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
        since, until = span
        mine = (
            select(reading.c.measured_at)
            .join_from(reading, meter)
            .where(meter.c.name == name)
            .limit(1)
        )
        before = mine.where(reading.c.measured_at < since).order_by(reading.c.measured_at.desc())
        after = mine.where(reading.c.measured_at >= until).order_by(reading.c.measured_at)
        with self._database.read() as connection:
            last = connection.scalar(after)
            return connection.scalar(before) or since, last + _LEAST if last else until

    def thinned_to(self) -> dict[str, datetime]:
        """Return up to when each meter's readings are pruned. Raises UnavailableError."""
        query = (
            select(meter.c.name, rollup.c.pruned_to)
            .join_from(meter, rollup)
            .where(rollup.c.pruned_to.is_not(None))
        )
        return {row.name: row.pruned_to for row in rows_of(self._database, query)}

    def query(
        self,
        names: Sequence[str] | None,
        since: datetime,
        until: datetime,
        keys: Sequence[str] | None = None,
    ) -> Iterator[Reading]:
        """Stream the readings of some meters (None: of all) in time order.

        From `since` until just before `until`; `keys` limits the values; an unknown name has
        none. Raises UnavailableError, also from the iterator.
        """
        with self._database.read() as connection:
            ids = meters.known_ids(connection, names)
        return stream(self._database, ids, Span(since, until, ColumnSelection(keys)))


def stream(database: Database, ids: Mapping[str, int], span: Span) -> Iterator[Reading]:
    """Stream the readings of meters (ids by name) in time order, ties by name.

    Each page is a transaction of its own, so that a long export delays no checkpoint.
    """
    size = max(_LEAST_PAGE, _HELD_ROWS // max(1, len(ids)))
    moments, columns = (span.since, span.until), span.shape.columns
    streams = [
        _stream_one(name, span.shape, _pages(database, ids[name], moments, columns, size))
        for name in sorted(ids)
    ]
    return heapq.merge(*streams, key=lambda taken: taken.measured_at)


def _stream_one(name: str, shape: ColumnSelection, pages: Iterator[Rows]) -> Iterator[Reading]:
    return (shape.to_reading(name, row) for rows in pages for row in rows)


def _pages(
    database: Database,
    meter_id: int,
    span: tuple[datetime, datetime],
    columns: Sequence[Column[Any]],
    size: int,
) -> Iterator[Rows]:
    """Yield the rows of one meter, each page in a transaction of its own."""
    query = (
        select(*columns)
        .where(reading.c.meter_id == meter_id, reading.c.measured_at < span[1])
        .execution_options(**BINARY)
    )
    return paged(database, query, reading.c.measured_at, span[0], size)
