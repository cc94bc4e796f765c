"""Moments as people write them: a date and time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from esquirell.cli.call import misuse

SHOWN = "%Y-%m-%d %H:%M:%S"

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str, now: datetime, zone: str) -> datetime:
    """Read `2026-11-22`, `2026-11-22T10:15`, also with a zone; or `24h`: so long before `now`.

    Without a zone of its own it is in `zone`. Raises ValueError with what to write instead.
    """
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        read = datetime.fromisoformat(text.strip())
        return (read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no moment: write 2026-11-22, 2026-11-22T10:15 or 24h (so long ago; "
            "s, m, h, d or w)"
        ) from None


def moment_of(option: str, text: str, zone: str) -> datetime:
    """Read the moment that an option gives, before now if it says how long ago.

    Raises UsageError.
    """
    try:
        return moment(text, datetime.now(UTC), zone)
    except ValueError as error:
        raise misuse(f"{option}: {error}") from None


def span_of(since: str, until: str, zone: str) -> tuple[datetime, datetime]:
    """Read the moments of --since and --until. Raises UsageError."""
    begin, end = moment_of("--since", since, zone), moment_of("--until", until, zone)
    if begin > end:
        raise misuse(f"--since {since} lies after --until {until}: nothing is between them")
    return begin, end


def local(text: str, zone: str) -> str:
    """Show a moment, given as it is published, in the time of `zone`."""
    return datetime.fromisoformat(text).astimezone(ZoneInfo(zone)).strftime(SHOWN)
