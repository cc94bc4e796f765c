"""The clock that is passed to everything that needs the time, and when it is doubted."""

from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

# A clock showing a time before this release is wrong.
RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
# Clocks are set back by minutes; daylight saving does not matter here.
BEHIND = timedelta(hours=1)
AHEAD = timedelta(days=1)

Doubt = Literal["unreleased", "behind", "ahead"]


class Clock(Protocol):
    """A source of the time, aware and in UTC."""

    def __call__(self) -> datetime:
        """Return the present moment."""


def doubt(now: datetime, newest: datetime | None) -> Doubt | None:
    """Return why a clock is doubtful, judged by the newest stored reading.

    A clock far ahead of it may be right: nothing may have been stored for a while.
    """
    if now < RELEASED:
        return "unreleased"
    if newest is not None and now < newest - BEHIND:
        return "behind"
    if newest is not None and now > newest + AHEAD:
        return "ahead"
    return None
