"""The clock, as everything that needs the time is handed one, and when it is doubted."""

from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

# No clock is right that shows a time before this program was released.
RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
# Clocks are set back by minutes; daylight saving doesn't concern them.
BEHIND = timedelta(hours=1)
AHEAD = timedelta(days=1)

Doubt = Literal["unreleased", "behind", "ahead"]


class Clock(Protocol):
    """A source of the time, aware and in UTC."""

    def __call__(self) -> datetime:
        """Return the present moment."""


def doubt(now: datetime, newest: datetime | None) -> Doubt | None:
    """Return what speaks against a clock, by the newest reading that is stored.

    A clock far ahead of it may be right: nothing was stored for a while.
    """
    if now < RELEASED:
        return "unreleased"
    if newest is not None and now < newest - BEHIND:
        return "behind"
    if newest is not None and now > newest + AHEAD:
        return "ahead"
    return None
