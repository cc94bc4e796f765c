"""Stored data: readings, and statistics by quarter of an hour, hour, day, month or year.

The command line, the page and the API all use this module, so that they agree.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from esquirell.domain.clock import Clock
from esquirell.domain.errors import CommandError, unknown_meter
from esquirell.domain.nearest import similar
from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.quantity import QUANTITIES, is_quantity_key
from esquirell.domain.reading import MeterStatus, iso
from esquirell.domain.record import record
from esquirell.domain.statistic import (
    PEAK_DEMAND,
    Periods,
    Statistic,
    combine,
    names_of,
    quantity_of,
)
from esquirell.services.ports import StoredReadings

if TYPE_CHECKING:
    from esquirell.domain.hour import Batch

View = Literal["raw", "quarter", "hour", "day", "month", "year"]
VIEWS: tuple[View, ...] = get_args(View)

_HOUR = timedelta(hours=1)

# A year is the sum of its months.
_STORED: Mapping[View, Resolution] = {
    "hour": "hour",
    "day": "day",
    "month": "month",
    "year": "month",
}


class ReadingHistory(StoredReadings, Protocol):
    """Reads stored readings."""

    def statuses(self) -> dict[str, MeterStatus]:
        """Return the status of every meter ever seen, by name. Raises UnavailableError."""

    def batches(
        self, meter: str, span: tuple[datetime, datetime], keys: Collection[str] | None = None
    ) -> Iterator["Batch"]:
        """Stream the readings of a meter by columns, plus one on either side of the span.

        Batches contain whole quarters of an hour. Raises UnavailableError, also from the iterator.
        """

    def thinned_to(self) -> dict[str, datetime]:
        """Return up to where each meter's readings are thinned out. Raises UnavailableError."""


class PeriodHistory(Protocol):
    """Reads statistics."""

    def query(self, names: Collection[str] | None, periods: Periods) -> Iterator[Statistic]:
        """Stream the statistics of some meters (None: of all) in time order.

        Raises UnavailableError, also from the iterator.
        """


@record
class Query:
    """A query; no meters or no quantities means all of them.

    `known` are the configured meters, which may have no stored data yet.
    """

    since: datetime
    until: datetime
    view: View = "raw"
    meters: Sequence[str] = ()
    quantities: Sequence[str] = ()
    known: Collection[str] = ()


@record
class Row:
    """The values of one meter at a moment, or in the period that begins there.

    `estimated`: energy of a gap was distributed evenly over this and other periods.
    """

    meter: str
    at: datetime
    values: Mapping[str, float]
    estimated: bool = False


@record
class Columns:
    """The names of each meter's values; `wanted` are the selected ones, None means all."""

    of: Mapping[str, Sequence[str]]
    wanted: Sequence[str] | None
    view: View

    def of_periods(self) -> "Columns":
        """Return the names of these quantities in a period: see `Statistic`."""
        of = {meter: _names(keys) for meter, keys in self.of.items()}
        wanted = None if self.wanted is None else _names(self.wanted)
        return Columns(of, wanted, self.view)

    @property
    def time(self) -> str:
        return "measured_at" if self.view == "raw" else "start"

    @property
    def has_periods(self) -> bool:
        """Whether rows are periods, which may be estimated."""
        return self.view != "raw"

    @property
    def several(self) -> bool:
        """Whether rows need the name of their meter."""
        return len(self.of) > 1

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the values of all meters."""
        return tuple(dict.fromkeys(key for keys in self.of.values() for key in keys))

    def shape(self, row: Row) -> dict[str, object]:
        """Return a row with all values of its meter; values it did not send are null.

        An estimated period is marked; a measured one is not.
        """
        shape: dict[str, object] = {self.time: iso(row.at)}
        if self.several:
            shape["meter"] = row.meter
        if row.estimated:
            shape["estimated"] = True
        return shape | dict.fromkeys(self.of.get(row.meter, ())) | dict(row.values)


@record
class Found:
    """The result: the columns, the span from the first period on, and the rows as a stream."""

    columns: Columns
    span: tuple[datetime, datetime]
    rows: Iterator[Row]


def _names(keys: Sequence[str]) -> tuple[str, ...]:
    known = (key for key in keys if key == PEAK_DEMAND or is_quantity_key(key))
    return tuple(name for key in known for name in names_of(key))


class History:
    """Reads stored data; `worked_up` brings the statistics of some meters up to date first."""

    def __init__(
        self,
        readings: ReadingHistory,
        worked_up: Callable[[Sequence[str] | None], PeriodHistory],
        calendar: Calendar,
        clock: Clock,
    ) -> None:
        self._readings = readings
        self._worked_up = worked_up
        self._calendar = calendar
        self._clock = clock

    def read(self, query: Query) -> Found:
        """Run the query; rows come in time order, ties by meter.

        Periods are included whole, also the one that contains `since`. Raises CommandError
        (`unknown_meter`, `invalid_payload`) and UnavailableError, also from the rows.
        """
        keys = _chosen(query, self._readings.statuses())
        if query.view == "raw":
            span = (query.since, query.until)
            return Found(keys, span, self._raw(query, keys, span))
        columns = keys.of_periods()
        span = (self._calendar.floor(query.since, query.view), query.until)
        if query.view == "quarter":
            return Found(columns, span, self._quarters(query, keys, span))
        statistics = self._statistics(query, columns, span)
        return Found(columns, span, _rows(statistics, columns))

    def _raw(self, query: Query, keys: Columns, span: tuple[datetime, datetime]) -> Iterator[Row]:
        readings = self._readings.query(query.meters or None, *span, keys.wanted)
        return (Row(reading.meter, reading.measured_at, reading.values) for reading in readings)

    def _quarters(
        self, query: Query, keys: Columns, span: tuple[datetime, datetime]
    ) -> Iterator[Row]:
        from esquirell.domain.hours import quarters  # noqa: PLC0415 - rarely needed

        thinned = self._readings.thinned_to()
        streams = []
        for meter in query.meters or sorted(keys.of):
            # Thinned out readings, two per hour, are too few for its quarters.
            begin = max(span[0], thinned.get(meter, span[0]))
            batches = self._readings.batches(meter, (begin, span[1]), keys.wanted)
            found = quarters(meter, batches, self._calendar, self._clock())
            streams.append(_within(found, (begin, span[1])))
        return _rows(heapq.merge(*streams, key=lambda period: period.start), keys)

    def _statistics(
        self, query: Query, columns: Columns, span: tuple[datetime, datetime]
    ) -> Iterator[Statistic]:
        names = query.meters or None
        # Meters without recorded quantities may still have statistics.
        periods = Periods(_STORED[query.view], *span, columns.keys or None)
        stored = self._worked_up(names)
        found = stored.query(names, periods)
        return self._by_year(found, stored, names) if query.view == "year" else found

    def _by_year(
        self, months: Iterable[Statistic], stored: PeriodHistory, names: Collection[str] | None
    ) -> Iterator[Statistic]:
        """Combine months into years."""
        for start, parts in groupby(
            months, lambda month: self._calendar.floor(month.start, "year")
        ):
            of: dict[str, list[Statistic]] = {}
            for part in parts:
                of.setdefault(part.meter, []).append(part)
            last = self._calendar.after(start, "year") - _HOUR
            ends = (
                hour
                for begin in (start, last)
                for hour in stored.query(names, Periods("hour", begin, begin + _HOUR, ()))
            )
            # Energy distributed within the year only is exact for the year.
            estimated = {hour.meter for hour in ends if hour.estimated}
            for meter in sorted(of):
                yield combine(start, of[meter], estimated=meter in estimated)


def _chosen(query: Query, statuses: Mapping[str, MeterStatus]) -> Columns:
    """Return the selected quantity keys by meter. Raises CommandError."""
    known = {meter: status.keys for meter, status in statuses.items()}
    for meter in query.meters:
        if meter not in known and meter not in query.known:
            raise unknown_meter(meter, dict.fromkeys((*known, *query.known)))
    if query.meters:
        known = {meter: known.get(meter, ()) for meter in query.meters}
    if not query.quantities:
        return Columns(known, None, query.view)
    measured = {key for keys in known.values() for key in keys}
    if query.view not in {"raw", "quarter"}:
        measured.add(PEAK_DEMAND)
    chosen = dict.fromkeys(key for wanted in query.quantities for key in _keys(wanted, measured))
    return Columns(dict.fromkeys(known, tuple(chosen)), tuple(chosen), query.view)


def _keys(wanted: str, measured: set[str]) -> Iterator[str]:
    """Yield a key; for a quantity that is measured only in parts, yield the parts."""
    if wanted == PEAK_DEMAND and wanted in measured:
        yield wanted
        return
    if not is_quantity_key(wanted):
        meant = similar(wanted, {*QUANTITIES, *measured})
        hint = f"did you mean {meant!r}?" if meant else f"known: {', '.join(QUANTITIES)}"
        raise CommandError("invalid_payload", f"quantity: {wanted!r} is not a quantity; {hint}")
    parts = [key for key in sorted(measured) if quantity_of(key).key == wanted]
    yield from [wanted] if wanted in measured or not parts else parts


def _rows(found: Iterable[Statistic], columns: Columns) -> Iterator[Row]:
    """Turn statistics into rows; demand, which is not a quantity, only if selected."""
    shows_demand = PEAK_DEMAND in (columns.wanted or ())
    for period in found:
        values = period.values
        if PEAK_DEMAND in values and not shows_demand:
            values = {name: value for name, value in values.items() if name != PEAK_DEMAND}
        yield Row(period.meter, period.start, values, period.estimated)


def _within(found: Iterable[Statistic], span: tuple[datetime, datetime]) -> Iterator[Statistic]:
    since, until = span
    return (period for period in found if since <= period.start < until)
