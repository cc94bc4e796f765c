"""Axes: round values beside a chart, and times below it at their places."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil, floor, log10
from typing import Protocol
from zoneinfo import ZoneInfo

from esquirell.domain.periods import Calendar, Period
from esquirell.plots.levels import DAY_S, GAP, LEVELS, LEVELS_OF, Label, Level, has_room, labelled
from esquirell.plots.words import Words

_NICE = (1, 2, 5, 10)


def marks(least: float, most: float, about: int) -> list[float]:
    """Return about this many round values that cover a range."""
    if least == most:
        # Where nothing was used, nothing lies below zero either.
        least, most = (least - 0.5, most + 0.5) if least else (0.0, 1.0)
    raw = (most - least) / about
    power = 10.0 ** floor(log10(raw))
    step = next(nice * power for nice in _NICE if nice * power >= raw * (1 - 1e-9))
    first, last = floor(least / step + 1e-9), ceil(most / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def decimals_of(values: Sequence[float]) -> int:
    """Return how many decimals distinguish round values."""
    step = min((abs(b - a) for a, b in pairwise(values)), default=1.0)
    return max(0, -floor(log10(step) + 1e-9)) if step else 0


class Axis(Protocol):
    """Divides a span into steps, which are numbered from 0."""

    @property
    def count(self) -> int:
        """How many steps there are."""

    def number(self, moment: datetime) -> int | None:
        """Return the number of the step that contains a time, None outside."""

    def title(self, number: int, words: Words) -> str:
        """Return the name of a step for people."""

    def labels(self, letters: int, words: Words) -> "list[Label]":
        """Return the labels below, where this many letters fit the width."""


class Periods:
    """The periods that begin in a span: each is a step, and all are equally wide."""

    def __init__(self, span: tuple[datetime, datetime], period: Period, calendar: Calendar) -> None:
        self._calendar = calendar
        self.period = period
        self.starts: list[datetime] = []
        start = calendar.floor(span[0], period)
        while start < span[1]:
            self.starts.append(start)
            start = calendar.after(start, period)
        self._numbers = {start: number for number, start in enumerate(self.starts)}

    @property
    def count(self) -> int:
        """How many periods there are."""
        return len(self.starts)

    def number(self, moment: datetime) -> int | None:
        """Return the number of the period that begins at a time."""
        return self._numbers.get(moment)

    def title(self, number: int, words: Words) -> str:
        """Return the name of a period for people."""
        return words.period(self._calendar.local(self.starts[number]), self.period)

    def labels(self, letters: int, words: Words) -> list[Label]:
        """Return the labels in the middle below the periods."""
        local = [self._calendar.local(start) for start in self.starts]
        whole = self.period in {"day", "month", "year"}
        found: list[Label] = []
        for level in LEVELS_OF[self.period]:
            places = [
                ((number + 0.5) / self.count, at)
                for number, at in enumerate(local)
                if _suits(level, at, whole=whole)
            ]
            found = labelled(places, level, words)
            if has_room(found, letters):
                break
        return found


def _suits(level: Level, at: datetime, *, whole: bool) -> bool:
    is_midnight = at.hour == 0 and at.minute == 0
    # Where clocks skip midnight a day starts later.
    return level.fits(at) and (whole or level.seconds < DAY_S or is_midnight)


class Frame:
    """A span in equal steps of time."""

    def __init__(self, span: tuple[datetime, datetime], count: int, zone: str) -> None:
        # Two local times differ by what clocks show, not by the time between them.
        self._begin, self._end = (moment.astimezone(UTC) for moment in span)
        self.span = self._begin, self._end
        self._zone = ZoneInfo(zone)
        self.count = count

    def number(self, moment: datetime) -> int | None:
        """Return the number of the step that contains a time, None outside."""
        part = (moment - self._begin) / (self._end - self._begin)
        return min(int(part * self.count), self.count - 1) if 0 <= part <= 1 else None

    def title(self, number: int, words: Words) -> str:
        """Return the name of a step: its start."""
        at = self._begin + (self._end - self._begin) * (number / self.count)
        return words.period(at.astimezone(self._zone), "hour")

    def labels(self, letters: int, words: Words) -> list[Label]:
        """Return the labels below the times."""
        seconds = (self._end - self._begin).total_seconds()
        found: list[Label] = []
        for level in LEVELS:
            # Avoids building thousands of labels only to count them.
            if seconds / level.seconds * GAP <= letters:
                found = labelled(list(self._places(level)), level, words)
                if has_room(found, letters):
                    break
        return found

    def _places(self, level: Level) -> Iterator[tuple[float, datetime]]:
        for at in self._moments(level):
            yield (at - self._begin) / (self._end - self._begin), at.astimezone(self._zone)

    def _moments(self, level: Level) -> Iterator[datetime]:
        """Yield the times of a level within the span, in order."""
        day = self._begin.astimezone(self._zone).replace(
            hour=0, minute=0, second=0, microsecond=0, fold=0
        )
        apart = min(int(level.seconds), DAY_S) // 60
        while day.astimezone(UTC) <= self._end:
            for minute in range(0, DAY_S // 60, apart):
                local = day + timedelta(minutes=minute)
                at = local.astimezone(UTC)
                # A time that the clock skips does not exist.
                is_real = at.astimezone(self._zone).replace(fold=0) == local
                if is_real and level.fits(local) and self._begin <= at <= self._end:
                    yield at
            day += timedelta(days=1)
