"""Turns readings into hours or quarters of an hour, in batches of any size."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from esquirell.domain.hour import DEMAND_ENERGY, Batch, Column, Counters, HeldValues, Hour
from esquirell.domain.periods import Calendar, Period
from esquirell.domain.statistic import Booking, Sample, Statistic, book, is_energy

HOUR_S = 3600.0


class Hours:
    """Processes the readings of one meter in time order, from the start of an hour on.

    `counters` are those at that moment, `held` are the values of the reading before, and the hour
    that is not over counts until `now`. `reach` is the earliest moment before the start to which
    readings from `news` on would book energy: then the hours before must be recomputed, too. With
    another `period`, quarters replace hours.
    """

    def __init__(
        self,
        calendar: Calendar,
        start: datetime,
        news: datetime,
        counters: Counters,
        now: datetime,
        period: Period = "hour",
    ) -> None:
        self._calendar = calendar
        self._period = period
        self._start = start.timestamp()
        self._news = news.timestamp()
        self._now = now.timestamp()
        self._counters = dict(counters)
        self._hours: dict[float, Hour] = {}
        self._moments: list[float] = []
        self._across: list[Statistic] = []
        self.held: HeldValues | None = None
        self.reach = self._start

    def worked_up(self, end: float) -> list[Hour]:
        """Return the hours until `end`, including those within gaps."""
        for kept in self._across:
            self._absorb(kept, end)
        return [self._hours[begin] for begin in sorted(self._hours)]

    def settled(self) -> Iterator[Hour]:
        """Remove and return the hours that can't change any more, in time order."""
        newest = self._moments[-1] if self._moments else self._start
        oldest = min((last.at for last in self._counters.values()), default=newest)
        border = max((begin for begin in self._hours if begin <= oldest), default=self._start)
        for begin in sorted(begin for begin in self._hours if begin < border):
            yield self._hours.pop(begin)
        del self._moments[: bisect_left(self._moments, border)]

    def knows(self, begin: float, readings: int) -> bool:
        """Whether the hour with this start has as many readings as before."""
        return begin in self._hours and self._hours[begin].found >= readings

    def keep(self, kept: Statistic) -> None:
        """Add an hour as computed before its readings were thinned out.

        An hour that does not exist in this time zone is distributed over those it overlaps.
        """
        begin = kept.start.timestamp()
        if self._calendar.floor(kept.start, "hour") != kept.start:
            self._across.append(kept)
        elif kept.readings:
            self._hour_at(begin).restore(kept)

    def add(self, batch: Batch) -> None:
        """Add readings; those of an hour must be in one batch."""
        self._moments.extend(batch.moments)
        begin = 0
        while begin < len(batch.moments):
            hour = self._hour_at(batch.moments[begin])
            end = bisect_left(batch.moments, hour.end, begin)
            self._add_hour(hour, batch.part(begin, end))
            begin = end

    def _add_hour(self, hour: Hour, batch: Batch) -> None:
        hour.measure(batch, self.held, self._now)
        for key, column in batch.values.items():
            if is_energy(key):
                anew = [place for place, keys in batch.begins.items() if key in keys]
                self._follow(hour, key, batch.moments, column, sorted(anew))
        self.held = batch.held()
        hour.counters = dict(self._counters)

    def _follow(
        self, hour: Hour, key: str, moments: Sequence[float], column: Column, anew: list[int]
    ) -> None:
        """Book the rise of a sum; at the indices `anew` another sum begins."""
        for begin, end in zip([0, *anew], [*anew, len(moments)], strict=True):
            if begin in anew:
                self._counters.pop(key, None)
            times, sums = present(moments[begin:end], column[begin:end])
            # The energy of each quarter must be known for this one alone.
            parts = hour.quarters(times) if key == DEMAND_ENERGY else [(0, len(times))]
            for first, last in parts:
                self._book(key, times[first:last], sums[first:last])

    def _book(self, key: str, moments: Sequence[float], sums: Sequence[float]) -> None:
        if not sums:
            return
        last = self._counters.get(key) or Sample(moments[0], sums[0])
        bookings, self._counters[key] = book(last, moments, sums)
        for booking in bookings:
            self._spread(key, booking)

    def _spread(self, key: str, booking: Booking) -> None:
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
        start = self._calendar.floor(datetime.fromtimestamp(at, UTC), self._period)
        begin, end = start.timestamp(), self._calendar.after(start, self._period).timestamp()
        return self._hours.setdefault(begin, Hour(begin, end))

    def _absorb(self, kept: Statistic, end: float) -> None:
        begin = kept.start.timestamp()
        until = min(begin + HOUR_S, end)
        first, last = (bisect_left(self._moments, at) for at in (begin, begin + HOUR_S))
        if kept.readings <= last - first:
            return  # all of its readings are there
        for hour in self._between(max(begin, self._start), until):
            overlap = min(hour.end, begin + HOUR_S) - max(hour.begin, begin)
            hour.absorb(kept, overlap / HOUR_S)


def present(moments: Sequence[float], column: Column) -> tuple[Sequence[float], Sequence[float]]:
    """Return the values that are not None, and their moments."""
    if None not in column:
        return moments, cast("Sequence[float]", column)
    found = [(at, value) for at, value in zip(moments, column, strict=True) if value is not None]
    return [at for at, _ in found], [value for _, value in found]


def quarters(
    meter: str, batches: Iterable[Batch], calendar: Calendar, now: datetime
) -> Iterator[Statistic]:
    """Process the readings of one meter, in time order; batches must have whole quarters.

    The quarter that is not over counts until `now`.
    """
    found: Hours | None = None
    for batch in batches:
        if found is None:
            first = calendar.floor(datetime.fromtimestamp(batch.moments[0], UTC), "quarter")
            found = Hours(calendar, first, first, {}, now, "quarter")
        found.add(batch)
        yield from (one.statistic(meter) for one in found.settled())
    if found:
        yield from (one.statistic(meter) for one in found.worked_up(now.timestamp()))
