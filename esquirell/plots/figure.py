"""What to draw: series of one unit over one axis."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil
from typing import Literal

from esquirell.domain.record import record
from esquirell.plots.axes import Axis
from esquirell.plots.words import Words

Kind = Literal["bars", "lines"]

# More series can't be distinguished: the rest is added up, or each gets a panel.
MOST = 8
# About the width of a panel, in pixels.
_PANEL_STEPS = 170


@dataclass(slots=True)
class Point:
    """A series in one step: minimum, mean and maximum, or an amount three times."""

    low: float
    total: float
    high: float
    count: int = 1
    estimated: bool = False

    @property
    def mean(self) -> float:
        return self.total / self.count

    def add(self, other: "Point") -> None:
        """Merge another point of the same step."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.total += other.total
        self.count += other.count
        self.estimated = self.estimated or other.estimated


@record
class Series:
    """One quantity of one meter, by step number; steps without a value are absent.

    `colour` is its index in the palette, -1 for the rest; `down` draws bars below zero. `above` are
    the meters that measure its energy as well, the nearest first; `key` is its quantity key.
    """

    name: str
    colour: int
    points: dict[int, Point] = field(default_factory=dict)
    down: bool = False
    meter: str = ""
    above: Sequence[str] = ()
    key: str = ""

    @property
    def owner(self) -> str:
        """The meter it belongs to, or its name if it belongs to none."""
        return self.meter or self.name

    @property
    def size(self) -> float:
        """Its total size, for choosing the largest."""
        return sum(abs(point.mean) for point in self.points.values())

    def signed(self, point: Point) -> float:
        """Return the value of a point as it is drawn: up or down."""
        return -point.mean if self.down else point.mean

    def drawn(self) -> Iterator[float]:
        """Yield the values that must fit the chart."""
        sign = -1 if self.down else 1
        for point in self.points.values():
            yield sign * point.low
            yield sign * point.high

    def runs(self) -> list[list[int]]:
        """Return runs of consecutive steps; up to twice the usual distance is not a gap."""
        numbers = sorted(self.points)
        distances = sorted(b - a for a, b in pairwise(numbers))
        widest = 2 * distances[len(distances) // 2] if distances else 1
        found: list[list[int]] = []
        for number in numbers:
            if found and number - found[-1][-1] <= widest:
                found[-1].append(number)
            else:
                found.append([number])
        return found


@record
class Figure:
    """A chart: its series share an axis and a unit.

    `stacked` stacks the bars of a step; `panels` gives each series its own chart, all with one
    scale.
    """

    title: str
    unit: str
    decimals: int
    kind: Kind
    axis: Axis
    series: Sequence[Series]
    from_zero: bool = True
    additive: bool = True
    stacked: bool = False
    panels: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(series.points for series in self.series)

    @property
    def is_estimated(self) -> bool:
        return any(point.estimated for series in self.series for point in series.points.values())

    def range(self) -> tuple[float, float]:
        """Return the minimum and the maximum that must fit."""
        if self.stacked:
            return self._stacked_range()
        values = [value for series in self.series for value in series.drawn()]
        if not values:
            return 0.0, 1.0
        least, most = min(values), max(values)
        if self.from_zero:
            least, most = min(least, 0.0), max(most, 0.0)
        return least, most

    def _stacked_range(self) -> tuple[float, float]:
        up: dict[int, float] = {}
        down: dict[int, float] = {}
        for series in self.series:
            for number, point in series.points.items():
                value = series.signed(point)
                sums = up if value >= 0 else down
                sums[number] = sums.get(number, 0.0) + value
        return min(down.values(), default=0.0), max(up.values(), default=0.0)

    def scaled(self) -> "Figure":
        """Return the same in kW instead of W, or MWh instead of kWh, if that is shorter."""
        limit, unit = _LARGER.get(self.unit, (0.0, ""))
        if not unit or max(map(abs, self.range())) < limit:
            return self
        series = [replace(line, points=_thousandth(line.points)) for line in self.series]
        return replace(self, unit=unit, series=series, decimals=self.decimals + 2)

    def parts(self, words: Words) -> "Figure":
        """Return series that add up, stacked, with the part that submeters do not explain."""
        series = [self._unexplained(line, words) for line in self.series]
        return replace(self, series=series, stacked=True)

    def _unexplained(self, whole: Series, words: Words) -> Series:
        inside = [
            line for line in self.series if whole.meter in line.above and line.key == whole.key
        ]
        if not inside:
            return whole
        left = {
            number: max(0.0, point.mean - _sum_at(inside, number))
            for number, point in whole.points.items()
        }
        points = {
            number: Point(value, value, value, estimated=whole.points[number].estimated)
            for number, value in left.items()
        }
        name = words.unexplained.format(name=whole.name)
        return replace(whole, name=name, points=points, colour=-1)

    def reduced(self, words: Words) -> "Figure":
        """Return what can be distinguished: for bars, the largest and the sum of the rest, stacked.

        Curves, and series that can't be added up, get a panel each.
        """
        if len({line.colour for line in self.series}) <= MOST:
            return self
        if self.kind == "lines" or not self.additive:
            series = [replace(line, points=_thinned(line, self.axis.count)) for line in self.series]
            return replace(self, series=series, panels=True)
        whole = self.parts(words)
        sizes: dict[str, float] = {}
        for line in whole.series:
            sizes[line.owner] = sizes.get(line.owner, 0.0) + line.size
        largest = sorted(sorted(sizes, key=lambda owner: -sizes[owner])[:MOST], key=[*sizes].index)
        # A meter's import and export have the same colour.
        kept = [
            replace(line, colour=largest.index(line.owner))
            for line in whole.series
            if line.owner in largest
        ]
        rest = [line for line in whole.series if line.owner not in largest]
        name = words.others.format(count=len(sizes) - len(largest))
        return replace(whole, series=[*kept, Series(name, -1, _sum_of(rest))])


_LARGER = {
    "W": (2000.0, "kW"),
    "var": (2000.0, "kvar"),
    "VA": (2000.0, "kVA"),
    "kWh": (5000.0, "MWh"),
}


def _thousandth(points: Mapping[int, Point]) -> dict[int, Point]:
    return {
        number: replace(
            point, low=point.low / 1000, total=point.total / 1000, high=point.high / 1000
        )
        for number, point in points.items()
    }


def _thinned(one: Series, count: int) -> dict[int, Point]:
    """Return as many points of a series as a panel has room for."""
    together = ceil(count / _PANEL_STEPS)
    found: dict[int, Point] = {}
    for number, point in one.points.items():
        middle = number // together * together + together // 2
        if before := found.get(middle):
            before.add(point)
        else:
            found[middle] = replace(point)
    return found


def _sum_at(series: Sequence[Series], number: int) -> float:
    """Return what some meters measured in a step; submeters of another one of them are in it."""
    measured = [line for line in series if number in line.points]
    return sum(line.points[number].mean for line in outermost(measured))


def outermost(series: Sequence[Series]) -> list[Series]:
    """Return the series that no other one contains."""
    meters = {line.meter for line in series}
    return [line for line in series if meters.isdisjoint(line.above)]


def _sum_of(series: Sequence[Series]) -> dict[int, Point]:
    """Add series up step by step; the extremes of sums are unknown."""
    found: dict[int, Point] = {}
    for line in series:
        for number, point in line.points.items():
            value = line.signed(point)
            sum_, estimated = value, point.estimated
            if before := found.get(number):
                sum_, estimated = before.mean + value, before.estimated or estimated
            found[number] = Point(sum_, sum_, sum_, estimated=estimated)
    return found
