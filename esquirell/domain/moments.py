"""Moments as people write them: a date and time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime, zone: str) -> datetime:
    """Read `2026-11-22`, `2026-11-22T10:15`, also with a zone; or `24h`: that long before `now`.

    Without a zone of its own it is in `zone`. Raises ValueError with what to write instead.
    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        read = datetime.fromisoformat(text.strip())
        return (read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time: write 2026-11-22, 2026-11-22T10:15, or how long ago: 24h "
            "(s, m, h, d or w)"
        ) from None
