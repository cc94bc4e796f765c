"""How a meter is doing: what is published as its availability."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from esquirell.domain.reading import iso

FAILURES_TO_OFFLINE = 2
MISSED_INTERVALS_TO_OFFLINE = 3


@dataclass(frozen=True, slots=True)
class MeterStatus:
    """The polls of one meter so far: failures in a row, their reason, the last success.

    `keys` are all quantity keys ever seen from this meter, so that the published shape
    stays the same over restarts. `undated`: the clock that `last_success` is by was doubted.
    """

    failures: int = 0
    reason: str | None = None
    last_success: datetime | None = None
    keys: tuple[str, ...] = ()
    undated: bool = False

    @property
    def time(self) -> str | None:
        """When it last answered, as it is published; None while nobody knows."""
        return iso(self.last_success) if self.last_success and not self.undated else None

    @property
    def state(self) -> Literal["online", "offline"]:
        """Offline after two failed polls in a row, and before the first success."""
        failed = self.failures >= FAILURES_TO_OFFLINE or self.last_success is None
        return "offline" if failed else "online"

    def overdue(self, now: datetime, interval: float) -> bool:
        """Return whether three intervals, in seconds, went by without a reading."""
        if self.last_success is None:
            return False
        return (now - self.last_success).total_seconds() > MISSED_INTERVALS_TO_OFFLINE * interval

    def payload(self) -> dict[str, object]:
        """Build the published availability."""
        return {
            "state": self.state,
            "reason": self.reason,
            "last_success": self.time,
            "failures": self.failures,
        }
