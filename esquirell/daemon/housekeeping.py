"""Housekeeping of a worker: statistics, the costs from them, pruning of old readings.

It needs no schedule, so nobody can forget it; the tasks `rollup` and `prune` do the same at other
times. Each step is one short transaction: polls get in between.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from esquirell.domain.errors import UnavailableError
from esquirell.services.retention import Retention
from esquirell.services.statistics import Statistics

log = logging.getLogger(__name__)

# Each writes some pages of an SD card; a query for statistics updates them anyway.
ROLLUP_EVERY_S = 900.0
# On the quarter of an hour, when the readings of the previous one are stored.
AFTER_QUARTER_S = 10.0
# A new installation, or one with its first tariff, should not wait for its costs.
AT_FIRST_EVERY_S = 60.0
PRUNE_EVERY_S = 86_400.0
BREATH_S = 0.05
RETRY_S = 60.0

# Well within the time that a lease lasts.
LOOK_AT_LEAST_S = 8.0

Work = Callable[[str], bool]


class Lease(Protocol):
    """Held by one of several workers."""

    def hold(self) -> bool:
        """Take or renew it; return whether it is ours. Raises UnavailableError."""
        ...


def by_one(lease: Lease, run_once: Callable[[], float]) -> Callable[[], float]:
    """Return a function that runs only in the worker that holds the lease.

    While Redis is unreachable, the last holder goes on, and so does a worker that never heard of
    another.
    """
    is_ours = True

    def run_if_ours() -> float:
        nonlocal is_ours
        try:
            is_ours = lease.hold()
        except UnavailableError as error:
            log.debug("the housekeeping lease is unavailable: %s", error)
        return min(run_once(), LOOK_AT_LEAST_S) if is_ours else LOOK_AT_LEAST_S

    return run_if_ours


class Housekeeping:
    """Takes one step at a time, meter by meter.

    `publish_cost` publishes what a meter has cost, once its statistics are up to date.
    """

    def __init__(
        self,
        statistics: Statistics,
        retention: Retention,
        publish_cost: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._statistics = statistics
        self._retention = retention
        self._tell_cost = publish_cost
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._queue: deque[tuple[Work, str]] = deque()
        self._began_at = self._rollup_at = self._prune_at = monotonic()

    def run_once(self) -> float:
        """Take the next step; return the seconds until the one after."""
        try:
            return self._step()
        except UnavailableError as error:
            log.debug("statistics wait for the database: %s", error)
            self._queue.clear()
            self._rollup_at = self._monotonic()
            return RETRY_S

    def _step(self) -> float:
        if not self._queue:
            self._plan(self._monotonic())
        if not self._queue:
            return max(BREATH_S, self._rollup_at - self._monotonic())
        work, meter = self._queue.popleft()
        if work(meter):
            self._queue.appendleft((work, meter))
        return BREATH_S

    def _plan(self, now: float) -> None:
        if now < self._rollup_at:
            return
        meters = self._statistics.meters()
        self._queue.extend((self._roll_up, meter) for meter in meters)
        self._rollup_at = now + self._pause_s(now)
        if now >= self._prune_at:
            self._queue.extend((self._prune, meter) for meter in meters)
            self._prune_at = now + PRUNE_EVERY_S

    def _pause_s(self, now: float) -> float:
        """Return the seconds until the next roll-up, at `now`."""
        since_quarter = (self._wall_clock() - AFTER_QUARTER_S) % ROLLUP_EVERY_S
        until_quarter = ROLLUP_EVERY_S - since_quarter
        is_new = now - self._began_at < ROLLUP_EVERY_S
        return min(until_quarter, AT_FIRST_EVERY_S) if is_new else until_quarter

    def _roll_up(self, meter: str) -> bool:
        if self._statistics.step(meter) > 0:
            return True
        self._tell_cost(meter)
        return False

    def _prune(self, meter: str) -> bool:
        return self._retention.step(meter) is not None
