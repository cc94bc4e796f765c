"""Retention of raw readings; of older ones, the first and last of each hour remain."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from esquirell.domain.clock import Clock
from esquirell.domain.periods import Calendar
from esquirell.services.statistics_ports import StatisticsStore, StatisticsTransaction

# Readings are thinned out only if the meter has newer ones going back this far: a computer that
# starts with the clock of another year, and without evidence against it, is corrected within that.
CONTINUOUS = timedelta(days=7)


class Retention:
    """Thins out raw readings older than `keep`, one day per transaction, to keep locks short.

    Readings not in the statistics yet stay. All stay while `is_right` doubts the clock: a wrong
    year would make all of them old.
    """

    def __init__(
        self,
        store: StatisticsStore,
        calendar: Calendar,
        keep: timedelta,
        clock: Clock,
        is_right: Callable[[datetime], bool] = lambda _: True,
    ) -> None:
        self._is_right = is_right
        self._store = store
        self._calendar = calendar
        self._keep = keep
        self._clock = clock

    def prune(self) -> dict[str, int]:
        """Remove old readings of all meters, on request; return how many of each.

        Raises UnavailableError; what was removed before stays removed.
        """
        return {name: self._finish(name) for name in self._store.meters()}

    def _finish(self, meter: str) -> int:
        removed = 0
        while (found := self._thin_out(meter, lambda *_: True)) is not None:
            removed += found
        return removed

    def step(self, meter: str) -> int | None:
        """Thin out one day of a meter; return how many readings went, None when all is done.

        Nothing is removed if the meter was not read on the days before: the clock may show another
        year. Raises UnavailableError; then nothing has changed.
        """
        return self._thin_out(meter, self._is_continuous)

    def _is_continuous(self, transaction: StatisticsTransaction, now: datetime) -> bool:
        first = transaction.first_reading(now - self._keep, now)
        return first is not None and now - first >= min(CONTINUOUS, self._keep / 2)

    def _thin_out(
        self, meter: str, may: Callable[[StatisticsTransaction, datetime], bool]
    ) -> int | None:
        now = self._clock()
        if not self._is_right(now):
            return None
        with self._store.transaction(meter) as transaction:
            span = self._next_day(transaction, now)
            if span is None or not may(transaction, now):
                return None
            removed = transaction.prune(list(self._hours(*span)))
            transaction.set_pruned_to(span[1])
            return removed

    def _next_day(
        self, transaction: StatisticsTransaction, now: datetime
    ) -> tuple[datetime, datetime] | None:
        mark = transaction.watermark
        if mark is None:
            return None
        end = self._calendar.floor(min(now - self._keep, mark.done_to), "hour")
        first = transaction.first_reading(mark.pruned_to, end)
        if first is None:
            return None
        start = self._calendar.floor(first, "hour")
        return start, min(self._calendar.after(self._calendar.floor(start, "day"), "day"), end)

    def _hours(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        while start < end:
            following = self._calendar.after(start, "hour")
            yield start, following
            start = following
