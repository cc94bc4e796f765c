"""Labels of times below a chart: which, and how, from minutes to years."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from esquirell.domain.periods import Period
from esquirell.domain.record import record
from esquirell.plots.words import Words

DAY_S = 86_400
# Letters between two labels.
GAP = 2
_MONDAY = 0


@record
class Label:
    """A label below a place: `at` is a fraction of the width, `below` the line under it.

    The label of a period belongs to its middle, that of a time to its tick.
    """

    at: float
    text: str
    below: str = ""


@record
class Level:
    """Which times get a label, and its text."""

    fits: Callable[[datetime], bool]
    text: Callable[[datetime, Words], str]
    below: Callable[[datetime, Words], str]
    seconds: float


def _clock(local: datetime, _: Words) -> str:
    return f"{local:%H:%M}"


def _date(local: datetime, words: Words) -> str:
    return words.day(local)


def _day(local: datetime, _: Words) -> str:
    return str(local.day)


def _month_and_year(local: datetime, words: Words) -> str:
    return f"{words.month(local)} {local.year}"


def _month(local: datetime, words: Words) -> str:
    return words.month(local)


def _year(local: datetime, _: Words) -> str:
    return str(local.year)


def _minutes(every: int) -> Level:
    return Level(lambda at: at.minute % every == 0, _clock, _date, every * 60)


def _hours(every: int) -> Level:
    return Level(lambda at: at.minute == 0 and at.hour % every == 0, _clock, _date, every * 3600)


def _days(*days: int) -> Level:
    """Build the level of these days of a month, which are about as far apart as the first two."""
    apart = days[1] - days[0] if days else 1
    return Level(lambda at: not days or at.day in days, _day, _month_and_year, apart * DAY_S)


def _months(every: int) -> Level:
    def fits(at: datetime) -> bool:
        return at.day == 1 and (at.month - 1) % every == 0

    return Level(fits, _month, _year, every * 30 * DAY_S)


def _years(every: int) -> Level:
    def fits(at: datetime) -> bool:
        return at.day == 1 and at.month == 1 and at.year % every == 0

    return Level(fits, _year, lambda *_: "", every * 365 * DAY_S)


_MONDAYS = Level(lambda at: at.weekday() == _MONDAY, _day, _month_and_year, 7 * DAY_S)
_FINE = [_minutes(every) for every in (1, 5, 15, 30)] + [_hours(n) for n in (1, 2, 3, 6, 12)]
# Not the 31st or the 30th, which the 1st follows.
_COARSE = [_days(), _days(*range(1, 30, 2)), _days(1, 5, 10, 15, 20, 25), _MONDAYS]
_LONG = [_months(1), _months(3), _months(6), *(_years(every) for every in (1, 2, 5, 10, 50))]
# From minutes to years.
LEVELS = (*_FINE, *_COARSE, *_LONG)
# The labels of periods must not be finer than the periods.
LEVELS_OF: dict[Period, list[Level]] = {
    "quarter": [*_FINE[2:], *_COARSE, *_LONG],
    "hour": [*_FINE[4:], *_COARSE, *_LONG],
    "day": [*_COARSE, *_LONG],
    "month": _LONG,
    "year": _LONG[3:],
}


def has_room(labels: Sequence[Label], letters: int) -> bool:
    """Whether labels do not touch, where this many letters fit the width."""
    widest = max((len(label.text) for label in labels), default=0) + GAP
    closest = min((b.at - a.at for a, b in pairwise(labels)), default=1.0)
    return closest * letters > widest - 0.01


def labelled(places: Sequence[tuple[float, datetime]], level: Level, words: Words) -> list[Label]:
    """Write the second line only where it changes."""
    found, before = [], ""
    for at, local in places:
        below = level.below(local, words)
        found.append(Label(at, level.text(local, words), below if below != before else ""))
        before = below
    return found
