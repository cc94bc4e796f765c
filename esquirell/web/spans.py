"""The spans of time that people turn over on the page: from a day to everything."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from esquirell.services.history import View

Length = Literal["day", "week", "month", "year", "all"]
LENGTHS: tuple[Length, ...] = get_args(Length)

# What each may be divided into; the first one is what is shown unless somebody chooses.
ENERGY_VIEWS: dict[Length, tuple[View, ...]] = {
    "day": ("hour", "quarter"),
    "week": ("day", "hour", "quarter"),
    "month": ("day", "hour"),
    "year": ("month", "day"),
    "all": ("year", "month"),
}
CURVE_VIEWS: dict[Length, tuple[View, ...]] = {
    "day": ("raw", "quarter", "hour"),
    "week": ("hour", "quarter", "raw"),
    "month": ("hour", "day"),
    "year": ("day", "month"),
    "all": ("month", "year"),
}
_FIRST = date(2000, 1, 1)
_WEEK = timedelta(days=7)
# So many days are as many weeks as a year has, so that weekdays are compared with their like.
_YEAR_OF_WEEKS = timedelta(days=364)


@dataclass(frozen=True, slots=True)
class Span:
    """A span of whole local days: from `first` until just before `end`."""

    length: Length
    first: date
    end: date

    @classmethod
    def around(cls, length: Length, day: date) -> "Span":
        """Return the span of a length that a day lies in."""
        match length:
            case "day":
                return cls(length, day, day + timedelta(days=1))
            case "week":
                monday = day - timedelta(days=day.weekday())
                return cls(length, monday, monday + _WEEK)
            case "month":
                first = day.replace(day=1)
                return cls(length, first, _first_of_next_month(first))
            case "year":
                return cls(length, date(day.year, 1, 1), date(day.year + 1, 1, 1))
        return cls(length, _FIRST, day + timedelta(days=1))

    @property
    def earlier(self) -> "Span":
        """The span before this one."""
        return Span.around(self.length, self.first - timedelta(days=1))

    @property
    def later(self) -> "Span":
        """The span after this one."""
        return Span.around(self.length, self.end)

    @property
    def year_before(self) -> "Span":
        """The same span a year ago; of a week the one with the same weekdays."""
        if self.length == "week":
            return Span.around("week", self.first - _YEAR_OF_WEEKS)
        # A 29th of February has no like.
        day = min(self.first.day, 28) if self.first.month == 2 else self.first.day  # noqa: PLR2004 - February
        return Span.around(self.length, self.first.replace(year=self.first.year - 1, day=day))

    def moments(self, zone: str) -> tuple[datetime, datetime]:
        """Return when it begins and ends in a time zone."""
        return _midnight(self.first, zone), _midnight(self.end, zone)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone))


def _first_of_next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
