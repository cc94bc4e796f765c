"""Statistics for people who look: brought up to date, but not at each glance."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from esquirell.domain.clock import Clock

# To look at a page again and again must not write as often.
FRESH_FOR = timedelta(seconds=20)


class Statistics(Protocol):
    """Works up statistics."""

    def meters(self) -> list[str]:
        """Name the meters that have been seen. Raises UnavailableError."""
        ...

    def rollup(
        self, since: datetime | None = None, meters: Sequence[str] | None = None
    ) -> dict[str, int]:
        """Bring the statistics of some meters (None: of all) up to date."""
        ...


class FreshStatistics:
    """Brings statistics up to date, those of a meter every 20 s at most."""

    def __init__(self, statistics: Statistics, clock: Clock) -> None:
        self._statistics = statistics
        self._clock = clock
        self._done_at: dict[str, datetime] = {}

    def ensure(self, meters: Sequence[str] | None) -> None:
        """Bring those of some meters (None: of all) up to date. Raises UnavailableError."""
        now = self._clock()
        names = self._statistics.meters() if meters is None else meters
        due = [name for name in names if not self._is_fresh(name, now)]
        if due:
            self._statistics.rollup(meters=due)
        self._done_at |= dict.fromkeys(due, now)

    def _is_fresh(self, name: str, now: datetime) -> bool:
        done_at = self._done_at.get(name)
        # A clock that was set back makes nothing fresh.
        return done_at is not None and timedelta() <= now - done_at < FRESH_FOR
