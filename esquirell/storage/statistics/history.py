"""Streams of statistics for people, page by page."""

import heapq
from collections.abc import Collection, Iterator, Mapping

from sqlalchemy import select

from esquirell.domain.statistic import Periods, Statistic
from esquirell.storage import meters
from esquirell.storage.database import Database
from esquirell.storage.postgres import BINARY
from esquirell.storage.statistics.rows import StatisticShape
from esquirell.storage.tables import statistic

_PAGE = 1000


def stream(
    database: Database, names: Collection[str] | None, periods: Periods
) -> Iterator[Statistic]:
    """Stream the statistics of some meters (None: of all) in time order, ties by name.

    Raises UnavailableError, also from the iterator.
    """
    with database.read() as connection:
        ids = meters.known_ids(connection, names)
    streams = [_stream_one(database, name, ids, periods) for name in sorted(ids)]
    return heapq.merge(*streams, key=lambda one: one.start)


def _stream_one(
    database: Database, name: str, ids: Mapping[str, int], periods: Periods
) -> Iterator[Statistic]:
    shape = StatisticShape(periods.names)
    query = (
        select(*shape.columns)
        .where(statistic.c.meter_id == ids[name])
        .where(statistic.c.resolution == periods.resolution)
        .where(statistic.c.start < periods.until)
        .order_by(statistic.c.start)
        .limit(_PAGE)
        .execution_options(**BINARY)
    )
    page = query.where(statistic.c.start >= periods.since)
    while True:
        with database.read() as connection:
            rows = connection.execute(page).all()
        yield from (shape.to_statistic(name, row) for row in rows)
        if len(rows) < _PAGE:
            return
        page = query.where(statistic.c.start > rows[-1].start)
