"""Housekeeping of a worker: statistics, the costs from them, pruning of old readings.

It needs no schedule, so nobody can forget it; the tasks `rollup` and `prune` do the same at other
times. Each step is one short transaction: polls get in between.
"""

import logging
import math
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
# A new installation should not wait for its costs. In the first quarter of an hour each pause is as
# long as all before: a step for a meter costs as much as storing two of its readings. Without a
# tariff nothing shows statistics before they are asked for, which brings them up to date.
FIRST_PAUSE_S = 60.0
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
    """Takes one step at a time: statistics of all meters together, all else meter by meter.

    `publish_cost` publishes what a meter has cost, once its statistics are up to date; `has_tariff`
    says which meters have costs.
    """

    def __init__(
        self,
        statistics: Statistics,
        retention: Retention,
        publish_cost: Callable[[str], None],
        has_tariff: Callable[[str], bool],
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._statistics = statistics
        self._retention = retention
        self._publish_cost = publish_cost
        self._has_tariff = has_tariff
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        # The meters whose statistics are behind, and what is to be done once they are not.
        self._behind: list[str] = []
        self._queue: deque[tuple[Work, str]] = deque()
        # The meters that were there before this process, once they are known.
        self._old: frozenset[str] | None = None
        self._began_at = self._look_at = self._rollup_at = self._prune_at = monotonic()

    def run_once(self) -> float:
        """Take the next step; return the seconds until the one after."""
        try:
            return self._step()
        except UnavailableError as error:
            log.debug("statistics wait for the database: %s", error)
            self._behind.clear()
            self._queue.clear()
            self._look_at = self._rollup_at = self._monotonic()
            return RETRY_S

    def _step(self) -> float:
        if not self._behind and not self._queue:
            self._plan(self._monotonic())
        if self._behind:
            self._roll_up()
        elif self._queue:
            work, meter = self._queue.popleft()
            if work(meter):
                self._queue.appendleft((work, meter))
        else:
            return max(BREATH_S, self._look_at - self._monotonic())
        return BREATH_S

    def _plan(self, now: float) -> None:
        if now < self._look_at:
            return
        meters = self._statistics.meters()
        if self._old is None:
            self._old = frozenset(meters)
        self._behind = [
            meter for meter in meters if now >= self._rollup_at or self._waits_for_cost(meter)
        ]
        if now >= self._rollup_at:
            self._rollup_at = now + self._until_quarter_s()
        if now >= self._prune_at:
            self._queue.extend((self._prune, meter) for meter in meters)
            self._prune_at = now + PRUNE_EVERY_S
        early_at = max(now + FIRST_PAUSE_S, 2 * now - self._began_at)
        at_first = early_at < self._began_at + ROLLUP_EVERY_S
        self._look_at = min(self._rollup_at, early_at if at_first else math.inf)

    def _waits_for_cost(self, meter: str) -> bool:
        return self._old is not None and meter not in self._old and self._has_tariff(meter)

    def _until_quarter_s(self) -> float:
        since_quarter_s = (self._wall_clock() - AFTER_QUARTER_S) % ROLLUP_EVERY_S
        return ROLLUP_EVERY_S - since_quarter_s

    def _roll_up(self) -> None:
        """Work up more readings of all meters that are behind."""
        for meter, new in self._statistics.steps(self._behind).items():
            if not new:
                self._behind.remove(meter)
                self._queue.appendleft((self._tell_cost, meter))

    def _tell_cost(self, meter: str) -> bool:
        self._publish_cost(meter)
        return False

    def _prune(self, meter: str) -> bool:
        return self._retention.step(meter) is not None
