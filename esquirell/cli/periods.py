"""Statistics in the shape of readings, so that they are printed alike."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from esquirell.cli.call import Call
from esquirell.cli.history import Columns
from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.reading import Reading
from esquirell.domain.statistic import PEAK_DEMAND, Periods, names_of


def by_period(columns: Columns) -> Columns:
    """Give the columns of statistics: kWh of each counter, three figures of each other key."""
    of = {meter: _names(keys) for meter, keys in columns.of.items()}
    wanted = None if columns.wanted is None else _names(columns.wanted)
    return replace(columns, of=of, wanted=wanted, time="start")


def periods(
    call: Call,
    resolution: Resolution,
    meters: Collection[str] | None,
    columns: Columns,
    span: tuple[datetime, datetime],
) -> Iterator[Reading]:
    """Stream the periods of a span, the one that it begins in included, after a rollup.

    Raises UnavailableError, also from the iterator.
    """
    call.storage.statistics.rollup(meters=None if meters is None else list(meters))
    since = Calendar(call.settings.timezone).floor(span[0], resolution)
    # A meter whose quantities were never noted may have statistics all the same.
    wanted = Periods(resolution, since, span[1], columns.keys or None)
    for one in call.storage.periods.query(meters, wanted):
        values = {name: value for name, value in one.values.items() if _is_wanted(name, columns)}
        yield Reading(one.meter, one.start, values)


def _is_wanted(name: str, columns: Columns) -> bool:
    """Tell whether to show a name; the demand, which is no quantity's, only if asked for."""
    return name != PEAK_DEMAND or name in (columns.wanted or ())


def _names(keys: Sequence[str]) -> tuple[str, ...]:
    known = (key for key in keys if key == PEAK_DEMAND or is_quantity_key(key))
    return tuple(name for key in known for name in names_of(key))
