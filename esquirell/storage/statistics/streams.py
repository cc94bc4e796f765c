"""Streams of statistics, page by page: the periods for people, exact energies for bills."""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, bindparam, cast, func, select

from esquirell.domain.cost import HourlyEnergy
from esquirell.domain.quantity import PHASES
from esquirell.domain.statistic import Periods, Statistic
from esquirell.storage import meters
from esquirell.storage.database import Database
from esquirell.storage.paging import paged
from esquirell.storage.postgres import BINARY
from esquirell.storage.statistics.statements import StatisticShape
from esquirell.storage.tables import Instant, statistic

_PERIODS_A_PAGE = 1000
_PAGE = 10_000


def _millionths(key: str) -> ColumnElement[int]:
    """Return the energy expression of a counter: its total, or else the sum of its phases.

    Statistics have six decimals: as whole numbers they add up without any error.
    """
    phases = (func.coalesce(_whole(f"{key}_{phase}"), 0) for phase in PHASES)
    first, second, third = phases
    return func.coalesce(_whole(key), first + second + third)


def _whole(name: str) -> ColumnElement[int]:
    return cast(func.round(statistic.c[name] * 1_000_000), BigInteger)


_HOURS = (
    select(statistic.c.start, _millionths("energy_import"), _millionths("energy_export"))
    .where(statistic.c.meter_id == bindparam("meter"))
    .where(statistic.c.resolution == "hour")
    .where(statistic.c.start < bindparam("until", type_=Instant))
    .order_by(statistic.c.start)
    .limit(_PAGE)
    .execution_options(**BINARY)
)
_FIRST_PAGE = _HOURS.where(statistic.c.start >= bindparam("since", type_=Instant))
_NEXT_PAGE = _HOURS.where(statistic.c.start > bindparam("since", type_=Instant))
_ANY = _FIRST_PAGE.with_only_columns(statistic.c.start).limit(1)


def energies(
    database: Database, meter: str, since: datetime, until: datetime
) -> Iterator[HourlyEnergy]:
    """Stream the hours of a meter in time order; an unknown one has none.

    Raises UnavailableError, also from the iterator.
    """
    with database.read() as connection:
        ids = meters.known_ids(connection, [meter])
    if not ids:
        return
    page, span = _FIRST_PAGE, {"meter": ids[meter], "since": since, "until": until}
    while True:
        with database.read() as connection:
            rows = connection.execute(page, span).all()
        yield from (tuple(row) for row in rows)
        if len(rows) < _PAGE:
            return
        page, span = _NEXT_PAGE, span | {"since": rows[-1].start}


def first_with_hours(
    database: Database, names: Sequence[str], since: datetime, until: datetime
) -> str:
    """Return the first of these meters that has hours in a span, "" if none has any.

    Raises UnavailableError.
    """
    with database.read() as connection:
        ids = meters.known_ids(connection, names)
        for name in names:
            span = {"meter": ids.get(name), "since": since, "until": until}
            if name in ids and connection.execute(_ANY, span).first():
                return name
    return ""


def periods(
    database: Database, names: Collection[str] | None, span: Periods
) -> Iterator[Statistic]:
    """Stream the statistics of some meters (None: of all) in time order, ties by name.

    Raises UnavailableError, also from the iterator.
    """
    with database.read() as connection:
        ids = meters.known_ids(connection, names)
    streams = [_one_meter(database, name, ids, span) for name in sorted(ids)]
    return heapq.merge(*streams, key=lambda period: period.start)


def _one_meter(
    database: Database, name: str, ids: Mapping[str, int], span: Periods
) -> Iterator[Statistic]:
    shape = StatisticShape(span.names)
    query = (
        select(*shape.columns)
        .where(statistic.c.meter_id == ids[name])
        .where(statistic.c.resolution == span.resolution)
        .where(statistic.c.start < span.until)
        .execution_options(**BINARY)
    )
    for rows in paged(database, query, statistic.c.start, span.since, _PERIODS_A_PAGE):
        yield from (shape.to_statistic(name, row) for row in rows)
