"""Periods of a time zone, from quarters of an hour to years, and times as people write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

# The stored ones; quarters of an hour are computed from raw readings, years from months.
Resolution = Literal["hour", "day", "month"]
Period = Literal["quarter", "hour", "day", "month", "year"]
PERIODS: tuple[Period, ...] = get_args(Period)

_QUARTER = timedelta(minutes=15)
_HOUR = timedelta(hours=1)
# Longer than the longest period, and shorter than two.
_BEYOND = {"day": timedelta(hours=36), "month": timedelta(days=45), "year": timedelta(days=500)}
_DURATION = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
# No moment precedes the start of the calendar, where no meter has any data.
EARLIEST_YEAR = 1900
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Calendar:
    """The periods of one time zone: its days have 23 or 25 hours when its clocks change."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._zone = ZoneInfo(zone)

    def floor(self, moment: datetime, period: Period) -> datetime:
        """Return the start of the period that contains `moment`."""
        local = moment.astimezone(self._zone).replace(second=0, microsecond=0)
        if period == "quarter":
            return local.replace(minute=local.minute // 15 * 15).astimezone(UTC)
        local = local.replace(minute=0)
        if period != "hour":
            # If midnight comes twice, the first one begins the day.
            local = local.replace(hour=0, fold=0)
        if period in {"month", "year"}:
            local = local.replace(day=1)
        if period == "year":
            local = local.replace(month=1)
        return local.astimezone(UTC)

    def after(self, start: datetime, period: Period) -> datetime:
        """Return the start of the period that follows the one that begins at `start`."""
        if period == "quarter":
            return start + _QUARTER
        if period != "hour":
            return self.floor(start + _BEYOND[period], period)
        following = self.floor(start + _HOUR, period)
        # An hour in which clocks go back by half an hour has ninety minutes.
        return following if following > start else self.floor(start + 2 * _HOUR, period)

    def local(self, moment: datetime) -> datetime:
        """Return a moment in local time."""
        return moment.astimezone(self._zone)

    def name(self, start: datetime, period: Period) -> str:
        """Name a period by its local date: `2026`, `2026-10`, `2026-10-25`.

        Hours and quarters also have a time with its offset from UTC, as a local time may come
        twice.
        """
        local = self.local(start)
        match period:
            case "year":
                return f"{local:%Y}"
            case "month":
                return f"{local:%Y-%m}"
            case "day":
                return f"{local:%Y-%m-%d}"
        return local.isoformat(timespec="minutes")

    def title(self, start: datetime, period: Period) -> str:
        """Name a period for people: like `name`, but without the offset."""
        if period in {"quarter", "hour"}:
            return f"{self.local(start):%Y-%m-%d %H:%M}"
        return self.name(start, period)


def moment(text: str, now: datetime, zone: str) -> datetime:
    """Parse `2026-11-22` or `2026-11-22T10:15`, optionally with a zone, or `24h` (before `now`).

    Without a zone of its own it is in `zone`. Raises ValueError that says what to write instead.
    """
    try:
        return _moment(text.strip(), now, zone)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time: write 2026-11-22, 2026-11-22T10:15, or how long ago: 24h "
            "(s, m, h, d or w)"
        ) from None


def duration(text: str) -> timedelta | None:
    """Read `90s`, `5m`, `24h`, `7d` or `2w`; None for anything else."""
    found = _DURATION.fullmatch(text.strip())
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def _moment(text: str, now: datetime, zone: str) -> datetime:
    if (ago := duration(text)) is not None:
        found = now - ago
    else:
        read = datetime.fromisoformat(text)
        found = (read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    if found.year < EARLIEST_YEAR:
        raise OverflowError
    return found
