"""Statistics by hour, day and month, worked up from the stored readings step by step.

A meter's watermark is the moment up to which its readings are worked up; a reading that is
stored later than a newer one sets it back. Each step works up whole hours anew from the raw
readings, so that the result is the same whether it came in one go or in a thousand.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from esquirell.domain.clock import Clock
from esquirell.domain.hours import Batch, Counters, Hour, Hours
from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.statistic import Statistic, combine
from esquirell.services.statistics_ports import StatisticsStore, StatisticsTurn

# Readings in one transaction: about a week of minutes, a tenth of a second on a small computer.
STEP_READINGS = 10_000
_WINDOW = timedelta(hours=6)
_LEAST = timedelta(milliseconds=1)


class Statistics:
    """Keeps the statistics of all meters up to date.

    `step_readings` is how many readings a transaction takes before it ends with their hour.
    """

    def __init__(self, store: StatisticsStore, calendar: Calendar, clock: Clock) -> None:
        self.step_readings = STEP_READINGS
        self._store = store
        self._calendar = calendar
        self._clock = clock

    def rollup(
        self, since: datetime | None = None, meters: Sequence[str] | None = None
    ) -> dict[str, int]:
        """Bring the statistics up to date; from `since` on all of them are worked up anew.

        Gives how many readings of each meter were looked at. Raises UnavailableError; then
        what was done so far is kept.
        """
        known = self._store.meters()
        names = known if meters is None else [name for name in meters if name in known]
        if since is not None:
            self._store.rewind(names, since)
        return {name: self._finish(name) for name in names}

    def meters(self) -> list[str]:
        """Name the meters that have been seen. Raises UnavailableError."""
        return self._store.meters()

    def step(self, meter: str) -> int:
        """Work up the next readings of a meter in one transaction; give how many.

        Raises UnavailableError; then nothing has changed.
        """
        with self._store.turn(meter) as turn:
            return Step(turn, meter, self._calendar, self._clock(), self.step_readings).run()

    def _finish(self, meter: str) -> int:
        looked_at = 0
        while found := self.step(meter):
            looked_at += found
        return looked_at


class Step:
    """One transaction's work for one meter."""

    def __init__(
        self, turn: StatisticsTurn, meter: str, calendar: Calendar, now: datetime, limit: int
    ) -> None:
        self._turn = turn
        self._meter = meter
        self._calendar = calendar
        # A reading from the future, by a wrong clock, waits until its time has come.
        self._until = now + _LEAST
        self._limit = limit
        self._done_to: datetime | None = None
        self._looked_at = 0

    def run(self) -> int:
        """Work up the next readings; give how many, 0 when all are done."""
        known = self._turn.watermark
        moved = known is not None and known.zone != self._calendar.zone
        if moved:
            self._turn.forget_days()
        after = None if known is None or moved else known.done_to
        news = self._turn.first_reading(after, self._until)
        if news is None:
            return 0
        start, hours = self._work_up(news)
        self._save(start, hours)
        return self._looked_at

    def _work_up(self, news: datetime) -> tuple[datetime, Hours]:
        start, counters = self._resume(news)
        while True:
            hours = Hours(self._calendar, start, news, counters)
            self._feed(hours, start, news)
            if hours.reach >= start.timestamp():
                return start, hours
            # A quantity that was away for longer than the others: its gap began earlier.
            start = self._hour_of(hours.reach)
            counters = _latest(self._turn.counters_before(start))

    def _resume(self, news: datetime) -> tuple[datetime, Counters]:
        """Give the hour of the last reading before, to which energy may still be booked."""
        start = self._calendar.floor(news, "hour")
        before = self._turn.counters_before(start)
        counters = _latest(before)
        if counters:
            start = self._hour_of(max(one.last.at for one in counters.values()))
            # Mostly that is the later of the two hours, and the counters are those of the other.
            known = len(before) > 1 and before[1][0] < start <= before[0][0]
            counters = _latest(before[1:] if known else self._turn.counters_before(start))
        return start, counters

    def _feed(self, hours: Hours, start: datetime, news: datetime) -> None:
        self._looked_at, self._done_to = 0, None
        at: datetime | None = start
        looked_up_to = start
        while at is not None and not self._is_enough(news):
            end = min(self._calendar.floor(at + _WINDOW, "hour"), self._until)
            hours.kept |= self._turn.kept(looked_up_to, end)
            batch = self._turn.readings(at, end)
            hours.add(batch)
            self._note(batch)
            looked_up_to = end
            after = self._done_to or end - _LEAST
            at = self._turn.first_reading(after, self._until) if end < self._until else None

    def _is_enough(self, news: datetime) -> bool:
        """Tell whether the step has its fill; it has to get further than the one before."""
        has_news = self._done_to is not None and self._done_to >= news
        return has_news and self._looked_at >= self._limit

    def _note(self, batch: Batch) -> None:
        self._looked_at += len(batch.moments)
        if batch.moments:
            self._done_to = datetime.fromtimestamp(batch.moments[-1], UTC)

    def _save(self, start: datetime, hours: Hours) -> None:
        worked_up = hours.worked_up
        end = self._calendar.after(self._calendar.floor(self._done, "hour"), "hour")
        known = {hour.begin for hour in worked_up}
        ends = end.timestamp()
        gone = [begin for begin in hours.kept if begin < ends and not hours.stays(begin)]
        removed = [self._moment(begin) for begin in gone if begin not in known]
        self._turn.replace_hours(self._rows(worked_up), removed)
        self._combine("day", "hour", start, end)
        self._combine("month", "day", start, end)
        self._turn.set_watermark(self._done, self._calendar.zone)

    def _rows(self, hours: Iterable[Hour]) -> list[tuple[Statistic, Counters | None]]:
        return [(hour.statistic(self._meter), hour.counters) for hour in hours]

    def _combine(self, whole: Resolution, part: Resolution, start: datetime, end: datetime) -> None:
        begin = self._calendar.floor(start, whole)
        while begin < end:
            following = self._calendar.after(begin, whole)
            parts = self._turn.statistics(part, begin, following)
            self._turn.replace(whole, begin, combine(begin, parts) if parts else None)
            begin = following

    @property
    def _done(self) -> datetime:
        assert self._done_to is not None  # noqa: S101 - there was a reading; for the type checker
        return self._done_to

    def _hour_of(self, at: float) -> datetime:
        return self._calendar.floor(self._moment(at), "hour")

    @staticmethod
    def _moment(at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC)


def _latest(before: Sequence[tuple[datetime, Counters]]) -> Counters:
    return before[0][1] if before else {}
