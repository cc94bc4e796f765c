"""Moments as people write them: a date and time, or how long ago."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from esquirell.cli.call import misuse
from esquirell.domain.moments import moment

SHOWN = "%Y-%m-%d %H:%M:%S"


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
