"""Statistics by hour, day and month, computed step by step from the stored readings.

A meter's watermark is the moment up to which its readings are processed; a reading that is
stored after a newer one sets it back. Each step recomputes whole hours from the raw readings, so
that the number of steps does not affect the result.
"""

import logging
import time
from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from esquirell.domain.clock import Clock
from esquirell.domain.errors import UnavailableError, UnreadableError
from esquirell.domain.hour import Batch
from esquirell.domain.hours import Hours
from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.statistic import combine
from esquirell.services.statistics_ports import StatisticsStore, StatisticsTransaction

log = logging.getLogger(__name__)

# Readings in one transaction: about a week of minutes, a tenth of a second on a small computer.
STEP_READINGS = 10_000
# How long meters share a transaction, in which each writes pages of an SD card: readings that wait
# for it are spooled after two seconds.
TOGETHER_S = 0.5
# After a transaction of this length others get a moment to write: SQLite does not queue writers,
# so that consecutive transactions would keep readings waiting for all of them.
LONG_S, BREATH_S = 0.05, 0.05
# Raised for unusable values, as from a damaged disk.
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_WINDOW = timedelta(hours=6)
# With fewer readings, as in thinned-out history, writing the hours takes as long as these.
_WINDOW_READINGS = 360
_LEAST = timedelta(milliseconds=1)
_DAY = timedelta(days=1)


class Statistics:
    """Keeps the statistics of all meters up to date.

    A step takes `step_readings` readings and then ends with their hour; the steps of several meters
    share a transaction for `together_s` seconds.
    """

    def __init__(self, store: StatisticsStore, calendar: Calendar, clock: Clock) -> None:
        self.step_readings = STEP_READINGS
        self.together_s = TOGETHER_S
        self._store = store
        self._calendar = calendar
        self._clock = clock

    def rollup(
        self, since: datetime | None = None, meters: Sequence[str] | None = None
    ) -> dict[str, int]:
        """Bring the statistics up to date; those from `since` on are recomputed.

        Returns how many readings of each meter were new, or from `since` on. Raises
        UnavailableError; then what was done so far is kept.
        """
        known = self._store.meters()
        names = known if meters is None else [name for name in meters if name in known]
        if since is not None:
            self._store.rewind(names, since)
        looked_at = dict.fromkeys(names, 0)
        behind = list(names)
        # Readings that are stored meanwhile would keep a slow computer busy for ever.
        now = self._clock()
        while behind:
            for name, new in self.steps(behind, now).items():
                looked_at[name] += new
                if not new:
                    behind.remove(name)
        return looked_at

    def meters(self) -> list[str]:
        """Return the names of the known meters. Raises UnavailableError."""
        return self._store.meters()

    def progress(self, names: Sequence[str]) -> tuple[int, int]:
        """Return how many days of some meters' readings are processed, and of how many.

        The days are those of the meter with most; the share is that of all. Raises
        UnavailableError.
        """
        meters = self._store.progress(names)
        whole = sum((progress.whole for progress in meters), timedelta())
        if not whole:
            return 0, 0
        days = max(progress.whole for progress in meters) // _DAY + 1
        return days * sum((progress.done for progress in meters), timedelta()) // whole, days

    def steps(self, meters: Sequence[str], now: datetime | None = None) -> dict[str, int]:
        """Process the next readings of meters in one transaction; return how many were new.

        Readings after `now`, by default the present, wait: a wrong clock may have taken them.
        Meters for which there was no time are not in the result: their turn comes with the next
        call. A meter with damaged stored data does not affect the others, and counts as one without
        new readings. Raises UnavailableError if none can be processed; then nothing has changed.
        """
        now = now or self._clock()
        failed: dict[str, UnavailableError] = {}
        done: dict[str, int] | None = None
        while done is None:
            try:
                done = self._together([name for name in meters if name not in failed], now)
            except _StepError as error:
                failed[error.meter] = error.cause
                if failed.keys() == set(meters):
                    raise error.cause from error
        for meter, cause in failed.items():
            log.error("the statistics of %s stay as they are: %s", meter, cause)
        return done | dict.fromkeys(failed, 0)

    def _together(self, meters: Sequence[str], now: datetime) -> dict[str, int]:
        began = time.monotonic()
        new: dict[str, int] = {}
        meter = None
        try:
            with self._store.transactions(meters) as turns:
                for turn in turns:
                    meter = turn.meter
                    new[meter] = Step(turn, self._calendar, now, self.step_readings).run()
                    meter = None
                    if time.monotonic() - began > self.together_s:
                        break
        except (UnavailableError, *_UNFIT) as error:
            if meter is None:
                raise
            raise _StepError(meter, error) from error
        if time.monotonic() - began > LONG_S:
            time.sleep(BREATH_S)
        return new


class _StepError(Exception):
    """The statistics of one meter could not be computed because of `cause`."""

    def __init__(self, meter: str, cause: Exception) -> None:
        super().__init__(meter)
        self.meter = meter
        self.cause = (
            cause
            if isinstance(cause, UnavailableError)
            else UnreadableError(meter, f"the stored counters of {meter} are damaged: {cause!r}")
        )


class Step:
    """The work on one meter in a transaction."""

    def __init__(
        self,
        transaction: StatisticsTransaction,
        calendar: Calendar,
        now: datetime,
        limit: int,
    ) -> None:
        self._transaction = transaction
        self._meter = transaction.meter
        self._calendar = calendar
        self._until = now + _LEAST
        self._limit = limit
        self._done_to: datetime | None = None
        self._looked_at = self._new = 0

    def run(self) -> int:
        """Process the next readings; return how many are new, 0 when all are done."""
        known = self._transaction.watermark
        moved = known is not None and known.zone != self._calendar.zone
        after = None if known is None or moved else known.done_to
        news, before = self._transaction.new_readings(after, self._until)
        if news is None:
            return 0
        # By a clock that shows 1970 there is no reading yet, and nothing would replace the days.
        if moved:
            self._transaction.change_zone()
        # The last value of an hour holds until its end: it is processed up to then.
        start = self._calendar.floor(before or news, "hour")
        start, hours, kept = self._work_up(news, start, first=before is None)
        if moved:
            kept |= self._compare(hours, start - _WINDOW, start)
        self._save(start, hours, kept)
        return self._new

    def _work_up(
        self, news: datetime, start: datetime, *, first: bool
    ) -> tuple[datetime, Hours, set[float]]:
        while True:
            # Hours of another zone may begin before the first reading.
            counters = {} if first else self._transaction.counters_before(start)
            hours = Hours(self._calendar, start, news, counters, self._until)
            kept = self._feed(hours, start, news)
            if hours.reach >= start.timestamp():
                return start, hours, kept
            # A quantity that was absent for longer than the others: its gap began earlier.
            start = self._calendar.floor(self._moment(hours.reach), "hour")

    def _feed(self, hours: Hours, start: datetime, news: datetime) -> set[float]:
        """Process readings until the step is full; return the hours there were before."""
        self._looked_at = self._new = 0
        self._done_to = None
        kept: set[float] = set()
        at: datetime | None = start
        looked_up_to = start
        while at is not None and not self._is_enough(news):
            end = min(self._calendar.floor(at + _WINDOW, "hour"), self._until)
            batch = self._readings(hours, at, end)
            hours.add(batch)
            self._note(batch, news)
            kept |= self._compare(hours, looked_up_to, end)
            looked_up_to = end
            after = self._done_to or end - _LEAST
            at = self._transaction.first_reading(after, self._until) if end < self._until else None
        return kept

    def _readings(self, hours: Hours, since: datetime, until: datetime) -> Batch:
        if hours.held is None:
            hours.held, batch = self._transaction.first_readings(since, until)
            return batch
        return self._transaction.readings(since, until)

    def _compare(self, hours: Hours, since: datetime, until: datetime) -> set[float]:
        """Take in the stored figures of hours whose readings were thinned out since."""
        kept = self._transaction.kept(since, until)
        if not all(hours.knows(begin, readings) for begin, readings in kept.items()):
            for old in self._transaction.statistics("hour", since, until):
                if not hours.knows(old.start.timestamp(), old.readings):
                    hours.keep(old)
        return set(kept)

    def _is_enough(self, news: datetime) -> bool:
        """Whether the step is full; it has to get further than the one before."""
        has_news = self._done_to is not None and self._done_to >= news
        return has_news and self._looked_at >= self._limit

    def _note(self, batch: Batch, news: datetime) -> None:
        self._looked_at += max(len(batch.moments), _WINDOW_READINGS)
        self._new += len(batch.moments) - bisect_left(batch.moments, news.timestamp())
        if batch.moments:
            self._done_to = datetime.fromtimestamp(batch.moments[-1], UTC)

    def _save(self, start: datetime, hours: Hours, kept: Collection[float]) -> None:
        end = self._calendar.after(self._calendar.floor(self._done, "hour"), "hour")
        worked_up = hours.worked_up(end.timestamp())
        known = {hour.begin for hour in worked_up}
        gone = [begin for begin in kept if begin < end.timestamp() and begin not in known]
        rows = [(hour.statistic(self._meter), hour.counters) for hour in worked_up]
        self._transaction.replace_hours(rows, [self._moment(begin) for begin in gone])
        self._combine("day", "hour", start, end)
        self._combine("month", "day", start, end)
        self._transaction.set_watermark(self._done, self._calendar.zone)

    def _combine(self, whole: Resolution, part: Resolution, start: datetime, end: datetime) -> None:
        begin = self._calendar.floor(start, whole)
        while begin < end:
            following = self._calendar.after(begin, whole)
            parts = self._transaction.statistics(part, begin, following)
            # A gap within the period does not make the period an estimate.
            across = any(
                one.estimated
                and (one.start == begin or self._calendar.after(one.start, part) == following)
                for one in parts
            )
            new = combine(begin, parts, estimated=across) if parts else None
            self._transaction.replace(whole, begin, new)
            begin = following

    @property
    def _done(self) -> datetime:
        assert self._done_to is not None  # noqa: S101 - there was a reading; for the type checker
        return self._done_to

    @staticmethod
    def _moment(at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC)
