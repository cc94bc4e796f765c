"""Readings into hours: energies booked, the rest as least, mean and greatest."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import cast

from esquirell.domain.periods import Calendar
from esquirell.domain.statistic import DECIMALS, PEAK_DEMAND, Statistic, extremes, is_energy
from esquirell.domain.usage import Booking, Counter, Sample

DEMAND_ENERGY = "energy_import"
DEMAND_POWER = "active_power"
QUARTER_S = 900
_QUARTERS_PER_HOUR = 4
_W_PER_KW = 1000

Counters = Mapping[str, Counter]
Column = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of one meter by columns: their moments in order, and the values of each key."""

    moments: Sequence[float]
    values: Mapping[str, Column]

    def part(self, begin: int, end: int) -> "Batch":
        """Give the readings from one place until just before another, with the keys they have."""
        parts = {key: column[begin:end] for key, column in self.values.items()}
        values = {key: part for key, part in parts.items() if part.count(None) < len(part)}
        return Batch(self.moments[begin:end], values)


@dataclass(frozen=True, slots=True)
class Kept:
    """An hour as it was worked up before: how many readings it had, its counters at its end."""

    readings: int
    counters: Counters | None


@dataclass(slots=True)
class Hour:
    """One hour from `begin` to `end` (seconds of unix time).

    `counters` are those at its end, None for an hour without readings.
    """

    begin: float
    end: float
    readings: int = 0
    values: dict[str, float] = field(default_factory=dict)
    counters: Counters | None = None
    _quarters: dict[int, float] = field(default_factory=dict)
    _power: list[Sequence[float]] = field(default_factory=list)

    def measure(self, batch: Batch) -> None:
        """Take the readings of the hour; energies are booked apart."""
        self.readings = len(batch.moments)
        for key, column in batch.values.items():
            if is_energy(key):
                continue
            if found := [value for value in column if value is not None]:
                self.values |= extremes(key, found)
        if DEMAND_ENERGY not in batch.values and DEMAND_POWER in batch.values:
            moments, power = present(batch.moments, batch.values[DEMAND_POWER])
            self._power = [power[begin:end] for begin, end in quarters(self, moments)]

    def book(self, key: str, booking: Booking) -> None:
        """Add the part of a booking that falls into the hour."""
        self.values[key] = self.values.get(key, 0.0) + booking.share(self.begin, self.end)
        if key == DEMAND_ENERGY:
            first = self._quarter(max(self.begin, booking.begin))
            for number in range(first, self._quarter(min(self.end - 1, booking.end)) + 1):
                begin = self.begin + number * QUARTER_S
                share = booking.share(begin, begin + QUARTER_S)
                self._quarters[number] = self._quarters.get(number, 0.0) + share

    def statistic(self, meter: str) -> Statistic:
        """Give the statistic of the hour."""
        values = {key: round(value, DECIMALS) for key, value in self.values.items()}
        peak = self._peak_kw()
        if peak is not None:
            values[PEAK_DEMAND] = round(peak, DECIMALS)
        start = datetime.fromtimestamp(self.begin, UTC)
        return Statistic(meter, start, values, self.readings, int(self.readings > 0))

    def _peak_kw(self) -> float | None:
        """Give the highest mean of a quarter: by the counter, else by the power drawn."""
        if self._quarters:
            return max(self._quarters.values()) * _QUARTERS_PER_HOUR
        means = [sum(found) / len(found) for found in self._power if found]
        return max(0.0, *means) / _W_PER_KW if means else None

    def _quarter(self, at: float) -> int:
        return int((at - self.begin) // QUARTER_S)


class Hours:
    """Works up the readings of one meter in the order of time, from the start of an hour on.

    `counters` are those at that moment, `kept` the hours as they were worked up before, by
    their beginnings: one that had more readings than there are now was pruned, and stays.
    `reach` is the earliest moment before the start to which energy would have to be booked by
    what was found at `news` or later: then the hours before have to be worked up, too.
    """

    def __init__(
        self, calendar: Calendar, start: datetime, news: datetime, counters: Counters
    ) -> None:
        self._calendar = calendar
        self._start = start.timestamp()
        self._news = news.timestamp()
        self._counters = _copies(counters)
        self._hours: dict[float, Hour] = {}
        self.reach = self._start
        self.kept: dict[float, Kept] = {}

    @property
    def worked_up(self) -> list[Hour]:
        """The hours worked up, those within gaps included, and without those that stay."""
        return [self._hours[begin] for begin in sorted(self._hours) if not self.stays(begin)]

    def stays(self, begin: float) -> bool:
        """Tell whether the hour stays as it was worked up before."""
        found = self._hours[begin].readings if begin in self._hours else 0
        return begin in self.kept and self.kept[begin].readings > found

    def add(self, batch: Batch) -> None:
        """Take readings; an hour's readings have to come together."""
        begin = 0
        while begin < len(batch.moments):
            hour = self._hour_at(batch.moments[begin])
            end = bisect_left(batch.moments, hour.end, begin)
            self._add_hour(hour, batch.part(begin, end))
            begin = end

    def _add_hour(self, hour: Hour, batch: Batch) -> None:
        hour.measure(batch)
        for key, column in batch.values.items():
            if is_energy(key):
                moments, values = present(batch.moments, column)
                # What was used within each quarter has to be known of this one alone.
                parts = quarters(hour, moments) if key == DEMAND_ENERGY else [(0, len(moments))]
                for begin, end in parts:
                    self._follow(key, moments[begin:end], values[begin:end])
        if self.stays(hour.begin):
            self._counters = _copies(self.kept[hour.begin].counters or {})
        hour.counters = _copies(self._counters)

    def _follow(self, key: str, moments: Sequence[float], values: Sequence[float]) -> None:
        if values and key not in self._counters:
            self._counters[key] = Counter(Sample(moments[0], values[0]))
            moments, values = moments[1:], values[1:]
        if values:
            for booking in self._counters[key].follow(moments, values):
                self._book(key, booking)

    def _book(self, key: str, booking: Booking) -> None:
        if booking.begin < self._start and booking.end >= self._news:
            self.reach = min(self.reach, booking.begin)
        for hour in self._between(max(booking.begin, self._start), booking.end):
            hour.book(key, booking)

    def _between(self, begin: float, end: float) -> Iterator[Hour]:
        while begin < end:
            hour = self._hour_at(begin)
            yield hour
            begin = hour.end

    def _hour_at(self, at: float) -> Hour:
        newest = next(reversed(self._hours.values()), None)
        if newest and newest.begin <= at < newest.end:
            return newest
        start = self._calendar.floor(datetime.fromtimestamp(at, UTC), "hour")
        begin, end = start.timestamp(), self._calendar.after(start, "hour").timestamp()
        return self._hours.setdefault(begin, Hour(begin, end))


def present(moments: Sequence[float], column: Column) -> tuple[Sequence[float], Sequence[float]]:
    """Give the values that are there, and their moments."""
    if None not in column:
        return moments, cast("Sequence[float]", column)
    found = [(at, value) for at, value in zip(moments, column, strict=True) if value is not None]
    return [at for at, _ in found], [value for _, value in found]


def quarters(hour: Hour, moments: Sequence[float]) -> list[tuple[int, int]]:
    """Give where each quarter of an hour begins and ends among moments in it."""
    count = ceil((hour.end - hour.begin) / QUARTER_S)
    ends = [bisect_left(moments, hour.begin + number * QUARTER_S) for number in range(1, count + 1)]
    return list(zip([0, *ends], ends, strict=False))


def _copies(counters: Counters) -> dict[str, Counter]:
    return {key: counter.copy() for key, counter in counters.items()}
