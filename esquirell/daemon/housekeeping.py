"""Housekeeping of a worker: statistics, the costs from them, old readings thinned out.

It needs no schedule, so that nobody can forget it; the tasks `rollup` and `prune` do the same
at other times. A turn is one short transaction: polls get in between.
"""

import logging
import time
from collections import deque
from collections.abc import Callable

from esquirell.domain.errors import UnavailableError
from esquirell.services.retention import Retention
from esquirell.services.statistics import Statistics

log = logging.getLogger(__name__)

# Each writes some pages of an SD card; who asks for statistics brings them up to date anyway.
ROLLUP_EVERY_S = 900.0
PRUNE_EVERY_S = 86_400.0
BREATH_S = 0.05
RETRY_S = 60.0

Work = Callable[[str], bool]


class Housekeeping:
    """Takes one step at a time, meter by meter.

    `tell_cost` publishes what a meter has cost, once its statistics are up to date.
    """

    def __init__(
        self, statistics: Statistics, retention: Retention, tell_cost: Callable[[str], None]
    ) -> None:
        self._statistics = statistics
        self._retention = retention
        self._tell_cost = tell_cost
        self._queue: deque[tuple[Work, str]] = deque()
        self._rollup_at = self._prune_at = time.monotonic()

    def turn(self) -> float:
        """Take the next step; give the seconds until the one after."""
        try:
            return self._step()
        except UnavailableError as error:
            log.debug("statistics wait for the database: %s", error)
            self._queue.clear()
            self._rollup_at = time.monotonic()
            return RETRY_S

    def _step(self) -> float:
        if not self._queue:
            self._plan(time.monotonic())
        if not self._queue:
            return max(BREATH_S, self._rollup_at - time.monotonic())
        work, meter = self._queue.popleft()
        if work(meter):
            self._queue.appendleft((work, meter))
        return BREATH_S

    def _plan(self, now: float) -> None:
        if now < self._rollup_at:
            return
        meters = self._statistics.meters()
        self._queue.extend((self._roll_up, meter) for meter in meters)
        self._rollup_at = now + ROLLUP_EVERY_S
        if now >= self._prune_at:
            self._queue.extend((self._prune, meter) for meter in meters)
            self._prune_at = now + PRUNE_EVERY_S

    def _roll_up(self, meter: str) -> bool:
        if self._statistics.step(meter) > 0:
            return True
        self._tell_cost(meter)
        return False

    def _prune(self, meter: str) -> bool:
        return self._retention.step(meter) is not None
