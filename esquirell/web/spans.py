"""The spans of time to browse on the history page: a day, a year, from one day to another."""

from datetime import date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from esquirell.domain.record import record
from esquirell.services.history import View

Length = Literal["day", "week", "month", "year", "all", "range"]
LENGTHS: tuple[Length, ...] = get_args(Length)

# The steps of each; the first one is the default.
ENERGY_VIEWS: dict[Length, tuple[View, ...]] = {
    "day": ("hour", "quarter"),
    "week": ("day", "hour", "quarter"),
    "month": ("day", "hour"),
    "year": ("month", "day"),
    "all": ("year", "month"),
    "range": ("day",),
}
CURVE_VIEWS: dict[Length, tuple[View, ...]] = {
    "day": ("raw", "quarter", "hour"),
    "week": ("hour", "quarter", "raw"),
    "month": ("hour", "day"),
    "year": ("day", "month"),
    "all": ("month", "year"),
    "range": ("day", "hour"),
}
# A range of at most this many days has other steps than days.
_SHORT_RANGES: tuple[tuple[int, tuple[View, ...], tuple[View, ...]], ...] = (
    (1, ENERGY_VIEWS["day"], CURVE_VIEWS["day"]),
    (14, ("day", "hour"), ("hour", "quarter", "day")),
)
# A longer range is extended to whole months, and divided by them.
_LONGEST_BY_DAY = 366
_LONGEST = timedelta(days=30 * 365)
_FIRST = date(2000, 1, 1)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
# A year of whole weeks, so that equal weekdays are compared.
_YEAR_OF_WEEKS = timedelta(days=364)


@record
class Span:
    """A span of whole local days: from `first` until just before `end`."""

    length: Length
    first: date
    end: date

    @classmethod
    def around(cls, length: Length, day: date) -> "Span":
        """Return the span of a length that contains a day."""
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
            case "range":
                return cls(length, day.replace(day=1), day + timedelta(days=1))
        return cls(length, _FIRST, day + timedelta(days=1))

    @classmethod
    def between(cls, first: date, last: date) -> "Span":
        """Return the span from one day to another; one of more than a year has whole months."""
        last = min(max(first, last), first + _LONGEST)
        span = cls("range", first, last + timedelta(days=1))
        if span.days <= _LONGEST_BY_DAY:
            return span
        return cls("range", first.replace(day=1), _first_of_next_month(last.replace(day=1)))

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    @property
    def last(self) -> date:
        return self.end - timedelta(days=1)

    @property
    def energy_views(self) -> tuple[View, ...]:
        """The steps for energies, the default first."""
        return self._views[0]

    @property
    def curve_views(self) -> tuple[View, ...]:
        """The steps for curves, the default first."""
        return self._views[1]

    @property
    def _views(self) -> tuple[tuple[View, ...], tuple[View, ...]]:
        if self.length == "range":
            if self.days > _LONGEST_BY_DAY:
                return ("month",), ("month",)
            for days, energies, curves in _SHORT_RANGES:
                if self.days <= days:
                    return energies, curves
        return ENERGY_VIEWS[self.length], CURVE_VIEWS[self.length]

    @property
    def earlier(self) -> "Span":
        """The span before this one."""
        if self.length == "range":
            return Span.between(self.first - timedelta(days=self.days), self.first - _DAY)
        return Span.around(self.length, self.first - timedelta(days=1))

    @property
    def later(self) -> "Span":
        """The span after this one."""
        if self.length == "range":
            return Span.between(self.end, self.last + timedelta(days=self.days))
        return Span.around(self.length, self.end)

    @property
    def year_before(self) -> "Span":
        """The same span a year ago; for a week, the one with the same weekdays."""
        if self.length == "week":
            return Span.around("week", self.first - _YEAR_OF_WEEKS)
        if self.length == "range":
            return Span(self.length, _a_year_before(self.first), _a_year_before(self.end))
        return Span.around(self.length, _a_year_before(self.first))

    def moments(self, zone: str) -> tuple[datetime, datetime]:
        """Return the start and the end in a time zone."""
        return _midnight(self.first, zone), _midnight(self.end, zone)


def _a_year_before(day: date) -> date:
    # The 29th of February becomes the 28th.
    number = min(day.day, 28) if day.month == 2 else day.day  # noqa: PLR2004 - February
    return day.replace(year=day.year - 1, day=number)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone))


def _first_of_next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
