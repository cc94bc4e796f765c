"""How long a device is left alone: after failed reads, and after it closed held lines."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from esquirell.domain.errors import MeterError
from esquirell.tuya.lan.network import Limits


class CoolDown:
    """Counts the failures of one meter and says when it may be asked again."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._until = 0.0
        self._last: MeterError | None = None
        self.failures = 0

    def check(self) -> None:
        """Raise the last failure again while the meter is to be left alone."""
        if self._last is not None and self._now() < self._until:
            raise type(self._last)(self._last.code, str(self._last))

    def failed(self, error: MeterError) -> None:
        """Count a failure; from a number of them on, each doubles the time to wait."""
        self._last = error
        self.failures += 1
        beyond = self.failures - self._limits.failures_to_cool
        if beyond >= 0:
            wait_s = min(self._limits.cool_s * 2.0 ** min(beyond, 32), self._limits.cool_max_s)
            self._until = self._now() + wait_s

    def succeeded(self) -> None:
        """Forget all failures."""
        self.failures = 0
        self._until = 0.0


RETRY_S = 1.0
LONGEST_RETRY_S = 60.0


class Reconnect:
    """When a held line is opened again: later and later while that fails, and never many at once.

    `at` is in monotonic seconds.
    """

    def __init__(self) -> None:
        self._wait_s = 0.0
        self.soon(time.monotonic())

    def soon(self, now: float) -> None:
        """Open it in about a second."""
        self.at = now + RETRY_S * _jitter()

    def attempted(self, now: float) -> None:
        """Wait twice as long before the next attempt."""
        self._wait_s = min(max(RETRY_S, 2 * self._wait_s), LONGEST_RETRY_S)
        self.at = now + self._wait_s * _jitter()

    def succeeded(self) -> None:
        """Wait no longer than at first when the line ends."""
        self._wait_s = 0.0


def _jitter() -> float:
    return random.uniform(0.5, 1.5)  # noqa: S311 - no secret


YOUNG_S = 120.0
WITHIN_S = 600.0
CLOSINGS = 3
FIRST_S = 600.0
LONGEST_S = 86_400.0
# The device tolerates a line that lived this long.
BORNE_S = 3600.0


@dataclass
class Suspension:
    """Counts the young lines that a device closed: `push = "auto"`; all times in monotonic seconds.

    Three within ten minutes suspend for ten minutes, the next time for twice as long, up to a
    day. A line that lived for an hour ends the doubling.
    """

    first_s: float = FIRST_S
    until: float = 0.0
    _next_s: float = 0.0
    _closings: list[float] = field(default_factory=list)

    def active(self, now: float) -> bool:
        """Whether no line is to be held now."""
        return now < self.until

    def closed(self, now: float, lived_s: float) -> bool:
        """Note that the device closed a line; return whether that suspends."""
        if lived_s >= BORNE_S:
            self._next_s = 0.0
        if lived_s >= YOUNG_S:
            return False
        self._closings = [at for at in self._closings if now - at < WITHIN_S] + [now]
        if len(self._closings) < CLOSINGS:
            return False
        self._closings.clear()
        self._next_s = min(2 * self._next_s or self.first_s, LONGEST_S)
        self.until = now + self._next_s
        return True
