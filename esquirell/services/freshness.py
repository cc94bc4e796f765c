"""Brings statistics up to date when they are viewed, but not on every view."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from esquirell.domain.clock import Clock

# Reloading a page must not write each time.
FRESH_FOR = timedelta(seconds=20)


class Statistics(Protocol):
    """Computes statistics."""

    def meters(self) -> list[str]:
        """Name the meters that have been seen. Raises UnavailableError."""

    def rollup(
        self, since: datetime | None = None, meters: Sequence[str] | None = None
    ) -> dict[str, int]:
        """Bring the statistics of some meters (None: of all) up to date."""


class FreshStatistics:
    """Brings statistics up to date, at most every 20 s per meter."""

    def __init__(self, statistics: Statistics, clock: Clock) -> None:
        self._statistics = statistics
        self._clock = clock
        self._done_at: dict[str, datetime] = {}
        self._working = threading.Lock()

    def ensure(self, meters: Sequence[str] | None) -> None:
        """Update those of some meters (None: of all). Raises UnavailableError."""
        names = self._statistics.meters() if meters is None else meters
        if not self._due(names):
            return
        # After waiting for another thread, most of it is done.
        with self._working:
            due = self._due(names)
            if due:
                self._statistics.rollup(meters=due)
            # If it took longer than they stay fresh, they are shown nevertheless.
            self._done_at |= dict.fromkeys(due, self._clock())

    def are_fresh(self, meters: Sequence[str]) -> bool:
        """Whether those of all these meters are up to date."""
        return not self._due(meters)

    def _due(self, names: Sequence[str]) -> list[str]:
        now = self._clock()
        return [name for name in names if not self._is_fresh(name, now)]

    def _is_fresh(self, name: str, now: datetime) -> bool:
        done_at = self._done_at.get(name)
        # A clock that was set back does not make statistics fresh.
        return done_at is not None and timedelta() <= now - done_at < FRESH_FOR
