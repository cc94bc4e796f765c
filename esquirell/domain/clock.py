"""The clock that is passed to everything that needs the time, and when it is doubted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

# A clock showing a time before this release is wrong.
RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
# Clocks are set back by minutes; daylight saving does not matter here.
BEHIND = timedelta(hours=1)
AHEAD = timedelta(days=1)

Clock = Callable[[], datetime]
"""Returns the present moment, aware and in UTC."""

Doubt = Literal["unreleased", "behind", "ahead"]


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
