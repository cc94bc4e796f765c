"""Times as people write them: a date and time, or how long ago."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

from esquirell.cli.call import misuse
from esquirell.domain.numbers import whole
from esquirell.domain.periods import duration, moment

# How long ago now was.
NOW = "0s"
SINCE: dict[str, Any] = {"show_default": True, "metavar": "TIME", "help": "7d, 2026-11-22T10:15, …"}
UNTIL = click.option(
    "--until", default=NOW, metavar="TIME", help="End of the span, exclusive. [default: now]"
)
SHOWN = "%Y-%m-%d %H:%M:%S"


class Seconds(click.ParamType[int]):
    """A whole number of seconds, also written as `30s`, `5m` or `1h`."""

    name = "seconds"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds. Raises BadParameter."""
        length = duration(value)
        seconds = whole(value) if length is None else length // timedelta(seconds=1)
        if seconds is None:
            self.fail(f"{value!r} is neither seconds, such as 300, nor 30s, 5m or 1h", param, ctx)
        return seconds


def moment_of(option: str, text: str, zone: str) -> datetime:
    """Parse the time that an option gives, or how long before now it is. Raises UsageError."""
    try:
        return moment(text, datetime.now(UTC), zone)
    except ValueError as error:
        raise misuse(f"{option}: {error}") from None


def span_of(since: str, until: str, zone: str) -> tuple[datetime, datetime]:
    """Parse the times of --since and --until. Raises UsageError."""
    begin, end = moment_of("--since", since, zone), moment_of("--until", until, zone)
    if begin > end:
        end_named = "now" if until == NOW else f"--until {until}"
        raise misuse(f"--since {since} is after {end_named}")
    return begin, end


def local(text: str, zone: str) -> str:
    """Return a published time in the time zone `zone`, as people read it."""
    return datetime.fromisoformat(text).astimezone(ZoneInfo(zone)).strftime(SHOWN)
