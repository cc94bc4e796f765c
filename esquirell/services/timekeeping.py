"""Whether the clock can be trusted: a computer without a battery may start in any year."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from esquirell.domain.clock import Doubt, doubt
from esquirell.domain.reading import iso
from esquirell.domain.undated import Mark, Present

log = logging.getLogger(__name__)

# So long a clock has to run on, unchanged, before it is believed without a witness.
CONFIRMED_AFTER_S = 3600.0
# What a clock is put right by while it is kept; more is another clock.
STEP_S = 60.0

_SAYS = {
    "unreleased": "that is before this version was made",
    "behind": "that is before the newest reading",
    "ahead": "that is long after the newest reading, and nothing keeps the clock right",
}

Newest = Callable[[], datetime | None]


class Machine(Protocol):
    """What the computer itself knows of the time."""

    @property
    def boot(self) -> str:
        """The start of the machine, by a name that no other has."""
        ...

    def uptime_s(self) -> float:
        """Return how long the machine has run, in seconds; no clock can set that."""
        ...

    def is_synchronized(self) -> bool:
        """Whether the kernel says that the clock is kept right, from outside."""
        ...

    def is_own_clock(self) -> bool:
        """Whether the clock that this process reads is the kernel's."""
        ...

    def keeps_time(self) -> bool:
        """Whether its clock goes on while the machine is switched off."""
        ...


class Timekeeper:
    """Decides whether the time is known; once it is, it stays so until the clock is set.

    `overruled` is set when a clock was trusted though readings lie in its future.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        # The clock, less the machine's own time: it changes when the clock is set.
        self._trusted: float | None = None
        self._doubted: float | None = None
        self._since_s = 0.0
        self.overruled = False

    @property
    def doubts(self) -> bool:
        """Whether the clock was doubted when it was looked at last."""
        return self._doubted is not None

    def present(self, now: datetime) -> Present:
        """Return this moment, by the clock and by the machine."""
        return Present(now, self._machine.boot, self._machine.uptime_s())

    def trusts(self, now: datetime, newest: Newest) -> bool:
        """Whether `now` is the time; `newest` returns when the newest stored reading was taken."""
        uptime_s = self._machine.uptime_s()
        offset = now.timestamp() - uptime_s
        with self._lock:
            if not _same(offset, self._trusted):
                return self._look(now, newest(), offset, uptime_s)
            self._trusted = offset
            return True

    def remember(self, now: datetime, past: Mark) -> None:
        """Take up a doubt that another process had, since the reading of `past`."""
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
        """Whether something speaks for the clock in spite of that."""
        if against == "unreleased":
            return False
        if self._machine.is_synchronized():
            return True
        if _same(offset, self._doubted):
            return uptime_s - self._since_s >= CONFIRMED_AFTER_S
        # A machine that was off for days is nothing unusual, unless it can't know of that.
        fresh = self._trusted is None and self._doubted is None
        went_on = self._machine.keeps_time() or uptime_s >= CONFIRMED_AFTER_S
        return against == "ahead" and fresh and went_on and self._machine.is_own_clock()


def _same(offset: float, other: float | None) -> bool:
    return other is not None and abs(offset - other) <= STEP_S
