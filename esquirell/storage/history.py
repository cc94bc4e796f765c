"""Streams of stored readings, a page at a time."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.engine import Row

from esquirell.domain.reading import Reading
from esquirell.storage.database import Database
from esquirell.storage.postgres import BINARY
from esquirell.storage.rows import Shape
from esquirell.storage.tables import reading

# Rows held in memory at once, shared by the meters of a query.
_HELD_ROWS = 4000
_LEAST_PAGE = 20


@dataclass(frozen=True, slots=True)
class Span:
    """What to stream: from `since` until just before `until`, in the given shape."""

    since: datetime
    until: datetime
    shape: Shape


def stream(database: Database, meters: Mapping[str, int], span: Span) -> Iterator[Reading]:
    """Stream the readings of meters, given with their ids, in time order, ties by name.

    Each page is a transaction of its own, so that a long export holds up no checkpoint.
    """
    size = max(_LEAST_PAGE, _HELD_ROWS // max(1, len(meters)))
    streams = [
        _stream_one(name, _Pages(database, meters[name], span, size)) for name in sorted(meters)
    ]
    return heapq.merge(*streams, key=lambda taken: taken.measured_at)


def _stream_one(name: str, pages: "_Pages") -> Iterator[Reading]:
    rows = pages.first()
    while True:
        for row in rows:
            yield pages.span.shape.to_reading(name, row)
        if len(rows) < pages.size:
            return
        rows = pages.after(rows[-1])


@dataclass(frozen=True, slots=True)
class _Pages:
    """The rows of one meter, each page found by seeking in the index."""

    database: Database
    meter_id: int
    span: Span
    size: int

    def first(self) -> Sequence[Row[Any]]:
        return self._fetch(reading.c.measured_at >= self.span.since)

    def after(self, row: Row[Any]) -> Sequence[Row[Any]]:
        return self._fetch(reading.c.measured_at > row.measured_at)

    def _fetch(self, start: ColumnElement[bool]) -> Sequence[Row[Any]]:
        query = (
            select(*self.span.shape.columns)
            .where(reading.c.meter_id == self.meter_id, start)
            .where(reading.c.measured_at < self.span.until)
            .order_by(reading.c.measured_at)
            .limit(self.size)
            .execution_options(**BINARY)
        )
        with self.database.read() as connection:
            return connection.execute(query).all()
