"""Bars and curves in the box of a chart."""

from collections.abc import Iterator, Sequence
from html import escape

from esquirell.plots.box import Box, px, rect
from esquirell.plots.figure import Figure, Point, Series
from esquirell.plots.legend import colour_of
from esquirell.plots.readout import step_text
from esquirell.plots.words import Words

_MOST_TITLES = 100
# The fraction of a slot that stays free between bars, at most this many pixels.
_GAP, _WIDEST_GAP, _NARROW_GAP, _NARROW = 0.24, 14.0, 0.1, 3.0
_WIDEST_BAR = 48.0
# From this width on, the bars of a slot are separated, with round corners.
_APART = 6.0


def bars(box: Box, figure: Figure, words: Words, hatch: str) -> Iterator[str]:
    """Draw a bar for each step of each series: side by side, or stacked."""
    slot = box.width / figure.axis.count
    lanes = _lanes(figure.series, stacked=figure.stacked)
    gap = min(slot * _GAP, _WIDEST_GAP) if slot > _NARROW else slot * _NARROW_GAP
    wide = min((slot - gap) / (max(lanes) + 1), _WIDEST_BAR)
    left = (slot - wide * (max(lanes) + 1)) / 2
    for number in sorted({number for series in figure.series for number in series.points}):
        x = box.x + number * slot
        yield '<g class="p-step">'
        if figure.axis.count <= _MOST_TITLES:
            yield f"<title>{escape(step_text(figure, number, words))}</title>"
            yield rect("p-hit", x, box.y, (slot, box.height))
        for series, lane, base in _placed(figure, lanes, number):
            point = series.points[number]
            ends = (base, base + series.signed(point))
            yield from _bar(box, series, point, (x + left + lane * wide, wide, *ends), hatch)
        yield "</g>"


def curve(box: Box, one: Series, count: int, kind: str, *, band: bool) -> Iterator[str]:
    """Draw the mean of a series as a line, with a band between minimum and maximum."""
    for run in one.runs():
        places = [(px(box.at((number + 0.5) / count)), one.points[number]) for number in run]
        if band and any(point.high > point.low for _, point in places):
            there = [f"{x} {px(box.of(point.high))}" for x, point in places]
            back = [f"{x} {px(box.of(point.low))}" for x, point in reversed(places)]
            yield f'<path class="p-band {kind}" d="M{"L".join([*there, *back])}z"/>'
        means = [f"{x} {px(box.of(point.mean))}" for x, point in places]
        if len(means) > 1:
            yield f'<path class="p-line {kind}" d="M{"L".join(means)}"/>'
        else:
            x, y = means[0].split()
            yield f'<circle class="p-dot {kind}" cx="{x}" cy="{y}" r="2"/>'


def _lanes(series: Sequence[Series], *, stacked: bool) -> list[int]:
    """Return the lane of each series in a slot: one that points down is below the one before."""
    lanes: list[int] = []
    for number, line in enumerate(series):
        follows = line.down and number > 0 and not series[number - 1].down
        before = lanes[-1] if lanes else -1
        lanes.append(0 if stacked else before if follows else before + 1)
    return lanes


def _placed(
    figure: Figure, lanes: Sequence[int], number: int
) -> Iterator[tuple[Series, int, float]]:
    """Yield the series with a bar in a step, with its lane and the value where it starts."""
    tops = {True: 0.0, False: 0.0}
    for series, lane in zip(figure.series, lanes, strict=True):
        if point := series.points.get(number):
            value = series.signed(point)
            yield series, lane, tops[value >= 0] if figure.stacked else 0.0
            tops[value >= 0] += value


def _bar(
    box: Box, one: Series, point: Point, place: tuple[float, float, float, float], hatch: str
) -> Iterator[str]:
    x, wide, base, end = place
    top, bottom = sorted((box.of(base), box.of(end)))
    is_wide = wide > _APART
    size = (wide * 0.92 if is_wide else wide, max(bottom - top, 0.5))
    kind = f"p-bar {colour_of(one)}{' p-down' if one.down else ''}"
    yield rect(kind, x, top, size, ' rx="1.5"' if is_wide and not base else "")
    if point.estimated:
        yield rect("p-hatch", x, top, size, hatch)
