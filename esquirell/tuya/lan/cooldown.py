"""Leaving a meter alone after it failed several times in a row."""

import time
from collections.abc import Callable

from esquirell.domain.errors import MeterError
from esquirell.tuya.lan.limits import Limits


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
