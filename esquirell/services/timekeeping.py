"""Decides whether the clock can be trusted: without a battery it may start in any year.

Readings taken while it was wrong get their time once it is known.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from esquirell.domain.clock import Clock, Doubt, doubt
from esquirell.domain.errors import SpoolError, UnavailableError
from esquirell.domain.reading import Reading, iso
from esquirell.domain.undated import Mark, Present, dated
from esquirell.services.ports import StoredReadings
from esquirell.services.statuses import Statuses

log = logging.getLogger(__name__)

# A clock that runs for this long without a change is trusted even without confirmation.
CONFIRMED_AFTER_S = 3600.0
# Synchronization corrects a clock by less than this; a larger step means that it was set.
STEP_S = 60.0

_SAYS = {
    "unreleased": "that is before this version was built",
    "behind": "that is before the newest reading",
    "ahead": "that is long after the newest reading, and the clock is not synchronized",
}

Newest = Callable[[], datetime | None]


class Machine(Protocol):
    """The computer's own knowledge about the time."""

    @property
    def boot(self) -> str:
        """The start of the machine, by a name that no other has."""

    def uptime_s(self) -> float:
        """Return how long the machine has run, in seconds; no clock can set that."""

    def is_synchronized(self) -> bool:
        """Whether the kernel reports that the clock is synchronized."""

    def is_own_clock(self) -> bool:
        """Whether the clock that this process reads is the kernel's."""

    def keeps_time(self) -> bool:
        """Whether its clock keeps running while the machine is switched off."""


class Timekeeper:
    """Decides whether the time is known; if so, it stays known until the clock is set.

    `overruled` is set when a clock was trusted although there are readings in its future.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        # The clock minus the uptime: it changes when the clock is set.
        self._trusted: float | None = None
        self._doubted: float | None = None
        self._since_s = 0.0
        self.overruled = False

    @property
    def doubts(self) -> bool:
        """Whether the clock was doubted at the last check."""
        return self._doubted is not None

    def present(self, now: datetime) -> Present:
        """Return the present moment, by clock and uptime."""
        return Present(now, self._machine.boot, self._machine.uptime_s())

    def trusts(self, now: datetime, newest: Newest) -> bool:
        """Whether `now` is the time; `newest` returns the time of the newest stored reading."""
        uptime_s = self._machine.uptime_s()
        offset = now.timestamp() - uptime_s
        with self._lock:
            if not _same(offset, self._trusted):
                return self._look(now, newest(), offset, uptime_s)
            self._trusted = offset
            return True

    def remember(self, now: datetime, past: Mark) -> None:
        """Adopt the doubt of another process, from the reading at `past` on."""
        present = self.present(now)
        before = past.shown - past.uptime_s
        with self._lock:
            if past.boot == present.boot and _same(now.timestamp() - present.uptime_s, before):
                self._doubted, self._since_s = before, past.uptime_s

    def _look(self, now: datetime, newest: datetime | None, offset: float, uptime_s: float) -> bool:
        against = doubt(now, newest)
        if against is None or self._confirms(against, offset, uptime_s):
            if self._doubted is not None:
                log.info("the clock is right: it is %s", iso(now))
            self.overruled = against == "behind"
            self._trusted, self._doubted = offset, None
            return True
        if self._trusted is not None or not _same(offset, self._doubted):
            log.warning(
                "the clock shows %s, but %s: readings wait until the time is known",
                iso(now),
                _SAYS[against],
            )
            self._since_s = uptime_s
        self._trusted, self._doubted = None, offset
        return False

    def _confirms(self, against: Doubt, offset: float, uptime_s: float) -> bool:
        """Whether other evidence confirms the clock."""
        if against == "unreleased":
            return False
        if self._machine.is_synchronized():
            return True
        if _same(offset, self._doubted):
            return uptime_s - self._since_s >= CONFIRMED_AFTER_S
        # That a machine was off for days is usual, unless its clock stops meanwhile.
        fresh = self._trusted is None and self._doubted is None
        went_on = self._machine.keeps_time() or uptime_s >= CONFIRMED_AFTER_S
        return against == "ahead" and fresh and went_on and self._machine.is_own_clock()


def _same(offset: float, other: float | None) -> bool:
    return other is not None and abs(offset - other) <= STEP_S


BATCH = 500
# Another process of this machine may have left readings without a time, and ended.
LOOK_EVERY_S = 60.0
# Other processes may store readings at this very moment.
_NOW = timedelta(minutes=1)
_LEAST = timedelta(milliseconds=1)

Store = Callable[[Sequence[Reading]], object]


class UndatedSpool(Protocol):
    """Keeps readings on this machine until their time is known."""

    def undated(self) -> Sequence[Mark]:
        """Return when the readings without a time were taken, in order.

        Raises SpoolError.
        """

    def date(self, moments: Mapping[int, datetime]) -> None:
        """Record when readings were taken, by their numbers. Raises SpoolError."""

    def dated(self, limit: int) -> Sequence[tuple[int, Reading]]:
        """Return the oldest readings whose time was found, with their numbers.

        They are as the meters sent them, not judged yet. Raises SpoolError.
        """

    def forget_dated(self, number: int) -> None:
        """Drop readings whose time was found, up to a number. Raises SpoolError."""


class Corrections(Protocol):
    """Corrects stored readings."""

    def set_future_aside(self, now: datetime) -> Mapping[str, int]:
        """Remove readings in the future of a correct clock; return how many by meter.

        Raises UnavailableError.
        """


class Judge(Protocol):
    """Judges readings by their meter's ledger."""

    def prepare(self, meters: Collection[str]) -> bool:
        """Look up what is stored of `meters`; return whether that could be done."""

    def judge_dated(self, reading: Reading) -> Reading:
        """Return what is believed of a reading that waited for its time."""


class Dating:
    """Judges and stores readings that wait for their time, before any newer ones are judged."""

    def __init__(
        self,
        timekeeper: Timekeeper,
        spool: UndatedSpool,
        history: StoredReadings,
        corrections: Callable[[], Corrections],
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timekeeper = timekeeper
        self._spool = spool
        self._history = history
        self._corrections = corrections
        self._clock = clock
        self._monotonic = monotonic
        # Readings from an earlier process wait as well.
        self._may_wait = True
        self._look_at = 0.0
        self._is_new = True

    def expect(self) -> None:
        """Look again for readings without a time, as one was added."""
        self._may_wait = True

    def settle(self, judge: Judge, store: Store, statuses: Statuses) -> None:
        """Date waiting readings if the time is known; never raises."""
        self._may_wait |= self.timekeeper.doubts or self._monotonic() >= self._look_at
        if not self._may_wait and not self.timekeeper.overruled:
            return
        try:
            self._settle(judge, store, statuses)
        except (SpoolError, UnavailableError) as error:
            self._may_wait = True
            log.debug("readings wait for their time: %s", error)

    def _settle(self, judge: Judge, store: Store, statuses: Statuses) -> None:
        # Reset first: a reading added meanwhile sets it again.
        self._may_wait, self._look_at = False, self._monotonic() + LOOK_EVERY_S
        now = self._clock()
        marks = self._spool.undated()
        if marks and self._is_new:
            self.timekeeper.remember(now, marks[0])
        self._is_new = False
        if not self.timekeeper.trusts(now, statuses.newest):
            self._may_wait = True
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
            log.info("the time of %d readings was found", stored)

    def _set_future_aside(self, now: datetime, statuses: Statuses) -> None:
        if not self.timekeeper.overruled:
            return
        gone = self._corrections().set_future_aside(now + _NOW)
        for meter, count in gone.items():
            log.warning(
                "%d readings of %s were in the future and were set aside: restore them with "
                "esquirell db readings remove --meter %s --undo",
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
        # If a process was killed here some may have been stored: judging them again counts twice.
        stored = self._history.query(sorted(meters), first, last + _LEAST, ())
        there = {(reading.meter, reading.measured_at) for reading in stored}
        judged = [
            judge.judge_dated(reading)
            for reading in readings
            if (reading.meter, reading.measured_at) not in there
        ]
        store(judged)
