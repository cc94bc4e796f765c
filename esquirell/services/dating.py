"""Readings that were taken while the clock was wrong get their time once it is known."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from esquirell.domain.clock import Clock
from esquirell.domain.errors import SpoolError, UnavailableError
from esquirell.domain.reading import Reading
from esquirell.domain.undated import Mark, dated
from esquirell.services.statuses import Statuses
from esquirell.services.timekeeping import Timekeeper

log = logging.getLogger(__name__)

BATCH = 500
# Others may store readings of this very moment.
_NOW = timedelta(minutes=1)
_LEAST = timedelta(milliseconds=1)

Store = Callable[[Sequence[Reading]], object]


class UndatedSpool(Protocol):
    """Keeps readings on this machine until it is known when they were taken."""

    def undated(self) -> Sequence[Mark]:
        """Return when the readings without a time were taken, in their order.

        Raises SpoolError.
        """
        ...

    def date(self, moments: Mapping[int, datetime]) -> None:
        """Note when readings were taken, by their numbers. Raises SpoolError."""
        ...

    def dated(self, limit: int) -> Sequence[tuple[int, Reading]]:
        """Return the oldest readings whose time was found, with their numbers.

        They are as the meters gave them: nothing is judged yet. Raises SpoolError.
        """
        ...

    def forget_dated(self, number: int) -> None:
        """Drop readings whose time was found, up to a number. Raises SpoolError."""
        ...


class History(Protocol):
    """The stored readings."""

    def query(
        self,
        names: Sequence[str] | None,
        since: datetime,
        until: datetime,
        keys: Sequence[str] | None = None,
    ) -> Iterator[Reading]:
        """Stream the readings of some meters in time order.

        Raises UnavailableError, also from the iterator.
        """
        ...


class Corrections(Protocol):
    """Corrects what is stored."""

    def set_future_aside(self, now: datetime) -> Mapping[str, int]:
        """Take out readings that lie in the future of a clock that is right; count by meter.

        Raises UnavailableError.
        """
        ...


class Judge(Protocol):
    """Decides what is believed of readings."""

    def prepare(self, meters: Collection[str]) -> bool:
        """Look up what is stored of `meters`; return whether that could be done."""
        ...

    def judge_dated(self, reading: Reading) -> Reading:
        """Return what is believed of a reading that waited for its time."""
        ...


class Dating:
    """Judges and stores what waits for the time, before anything newer is judged."""

    def __init__(
        self,
        timekeeper: Timekeeper,
        spool: UndatedSpool,
        history: History,
        corrections: Corrections,
        clock: Clock,
    ) -> None:
        self.timekeeper = timekeeper
        self._spool = spool
        self._history = history
        self._corrections = corrections
        self._clock = clock
        # What an earlier process could not date waits as well.
        self._may_wait = True
        self._is_new = True

    def settle(self, judge: Judge, store: Store, statuses: Statuses) -> None:
        """Date what waits if the time is known, else leave it; never raises."""
        self._may_wait = self._may_wait or self.timekeeper.doubts
        if not self._may_wait and not self.timekeeper.overruled:
            return
        try:
            self._settle(judge, store, statuses)
        except (SpoolError, UnavailableError) as error:
            log.debug("readings wait for their time: %s", error)

    def _settle(self, judge: Judge, store: Store, statuses: Statuses) -> None:
        now = self._clock()
        marks = self._spool.undated()
        if marks and self._is_new:
            self.timekeeper.remember(now, marks[0])
        self._is_new = False
        if not self.timekeeper.trusts(now, statuses.newest):
            return
        self._set_future_aside(now, statuses)
        if marks:
            self._spool.date(dated(marks, self.timekeeper.present(now)))
        stored = 0
        while rows := self._spool.dated(BATCH):
            self._store([reading for _, reading in rows], judge, store)
            self._spool.forget_dated(rows[-1][0])
            stored += len(rows)
        if stored:
            log.info("%d readings got their time", stored)
        self._may_wait = False

    def _set_future_aside(self, now: datetime, statuses: Statuses) -> None:
        if not self.timekeeper.overruled:
            return
        gone = self._corrections.set_future_aside(now + _NOW)
        for meter, count in gone.items():
            log.warning(
                "%d readings of %s lay in the future and were set aside: esquirell db readings "
                "remove --meter %s --undo brings them back",
                count,
                meter,
                meter,
            )
        statuses.forget()
        self.timekeeper.overruled = False

    def _store(self, readings: Sequence[Reading], judge: Judge, store: Store) -> None:
        meters = {reading.meter for reading in readings}
        if not judge.prepare(meters):
            raise UnavailableError("their counters can't be looked up")
        moments = [reading.measured_at for reading in readings]
        first, last = min(moments), max(moments)
        # A process that was killed here may have stored some: to judge them again counts twice.
        stored = self._history.query(sorted(meters), first, last + _LEAST, ())
        there = {(reading.meter, reading.measured_at) for reading in stored}
        judged = [
            judge.judge_dated(reading)
            for reading in readings
            if (reading.meter, reading.measured_at) not in there
        ]
        store(judged)
