"""Curves to be drawn: values in time, gathered into as many steps as there is room for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from math import ceil, floor, log10

from esquirell.domain.statistic import is_energy
from esquirell.services.history import Row

# How wide a single bar is, in steps.
_ALONE = 20
_NICE = (1, 2, 5, 10)


@dataclass(slots=True)
class Step:
    """What one quantity was within a short time."""

    least: float
    most: float
    total: float
    count: int = 1

    @property
    def mean(self) -> float:
        """The mean of its values."""
        return self.total / self.count

    def add(self, value: float) -> None:
        """Take one more value in."""
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.total += value
        self.count += 1


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity of one meter; `bars` tells that it is drawn as amounts from zero on.

    `steps` are by their numbers; one without a value is absent.
    """

    name: str
    unit: str
    bars: bool
    steps: dict[int, Step] = field(default_factory=dict)

    def runs(self) -> Iterator[list[tuple[int, Step]]]:
        """Give the steps that follow each other; twice the usual distance is no gap yet."""
        widest = 2 * self.distance
        run: list[tuple[int, Step]] = []
        for number, step in sorted(self.steps.items()):
            if run and number - run[-1][0] > widest:
                yield run
                run = []
            run.append((number, step))
        if run:
            yield run

    @property
    def distance(self) -> int:
        """The usual number of steps from one to the next."""
        gaps = sorted(after - before for before, after in pairwise(sorted(self.steps)))
        return gaps[len(gaps) // 2] if gaps else _ALONE


@dataclass(frozen=True, slots=True)
class Frame:
    """What a plot spans: `steps` steps between two moments."""

    begin: datetime
    end: datetime
    steps: int

    def number(self, moment: datetime) -> int:
        """Give the number of the step that a moment falls into."""
        part = (moment - self.begin) / (self.end - self.begin)
        return min(max(int(part * self.steps), 0), self.steps - 1)

    def moment(self, number: float) -> datetime:
        """Give the moment at which a step begins."""
        return self.begin + (self.end - self.begin) * (number / self.steps)


def gather(found: Iterable[Row], curves: dict[tuple[str, str], Curve], frame: Frame) -> None:
    """Gather values into curves, which are by meter and key; none of the readings is kept."""
    for one in found:
        number = frame.number(one.at)
        for key, value in one.values.items():
            curve = curves.get((one.meter, key))
            if curve is None:
                continue
            step = curve.steps.get(number)
            if step is None:
                curve.steps[number] = Step(value, value, value)
            else:
                step.add(value)


def limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Give the least and the greatest value to be drawn; amounts begin at zero."""
    values = [value for one in curves for step in one.steps.values() for value in _drawn(one, step)]
    if not values:
        return 0.0, 1.0
    least, most = min(values), max(values)
    if least == most:
        return least - 0.5, most + 0.5
    return least, most


def _drawn(curve: Curve, step: Step) -> tuple[float, ...]:
    return (0.0, step.mean) if curve.bars else (step.least, step.most)


def ticks(least: float, most: float, about: int) -> list[float]:
    """Give round values that cover a range, about so many."""
    raw = (most - least) / about
    power = 10.0 ** floor(log10(raw))
    distance = next(nice * power for nice in _NICE if nice * power >= raw)
    first, last = floor(least / distance), ceil(most / distance)
    return [round(number * distance, 10) for number in range(first, last + 1)]


def is_amount(key: str, resolution: str) -> bool:
    """Tell whether a key is an amount used within each period."""
    return resolution != "raw" and is_energy(key)
