"""The parts of a chart: its scales, bars and curves in its box, and the text for one step."""

from collections.abc import Iterator, Sequence
from html import escape

from esquirell.plots.axes import Axis, Periods, decimals_of
from esquirell.plots.box import BOLD_LETTER, LETTER, Box, colour_of, px, rect, text
from esquirell.plots.figure import Figure, Point, Series
from esquirell.plots.levels import Label
from esquirell.plots.words import RANGE, Words

_MOST_TITLES = 100
# The fraction of a slot that stays free between bars, at most this many pixels.
_GAP, _WIDEST_GAP, _NARROW_GAP, _NARROW = 0.24, 14.0, 0.1, 3.0
_WIDEST_BAR = 48.0
# From this width on, the bars of a slot are separated, with round corners.
_APART = 6.0
FIRST_LINE, SECOND_LINE = 19, 36


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
            yield f"<title>{escape(_step_text(figure, number, words))}</title>"
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


def _step_text(figure: Figure, number: int, words: Words) -> str:
    """Return the lines that describe a step."""
    values = [
        f"{series.name}: {_value_of(figure, series.points[number], words)}"
        for series in figure.series
        if number in series.points
    ]
    return "\n".join([figure.axis.title(number, words), *values])


def readout(figure: Figure, words: Words) -> dict[str, object]:
    """Return what a script shows for each step: its place (fraction of the width), name, values.

    For a figure as drawn, reduced and scaled. Panels have no read-out: they are seen side by side.
    """
    if figure.panels:
        return {}
    numbers = sorted({number for series in figure.series for number in series.points})
    return {
        "at": [round((number + 0.5) / figure.axis.count, 5) for number in numbers],
        "steps": [figure.axis.title(number, words) for number in numbers],
        "series": [
            {
                "name": series.name,
                "colour": colour_of(series),
                "values": [
                    _value_of(figure, series.points[number], words)
                    if number in series.points
                    else ""
                    for number in numbers
                ],
            }
            for series in figure.series
        ],
    }


def _value_of(figure: Figure, point: Point, words: Words) -> str:
    """Return the value of a point as text: its mean and range."""
    text = f"{words.number(point.mean, figure.decimals)} {figure.unit}".rstrip()
    if point.high > point.low:
        low, high = (words.number(end, figure.decimals) for end in (point.low, point.high))
        text = f"{text} ({low} {RANGE} {high})"
    return f"{text} ({words.estimated})" if point.estimated else text


def values(box: Box, marks: Sequence[float], words: Words) -> Iterator[str]:
    """Draw a line at each mark, with its value on the left."""
    decimals = decimals_of(marks)
    for mark in marks:
        kind = "p-zero" if mark == 0 else "p-grid"
        yield f'<path class="{kind}" d="M{px(box.x)} {px(box.of(mark))}H{px(box.right)}"/>'
        yield text("p-value", box.x - 8, box.of(mark) + 4, words.number(mark, decimals))


def moments(box: Box, axis: Axis, words: Words, edge: float, *, written: bool) -> Iterator[str]:
    """Draw the labels below a box: periods in their middle, times at their tick.

    Nothing goes beyond `edge`. Without `written` only the ticks are drawn.
    """
    labels = axis.labels(int(box.width / LETTER), words)
    if not isinstance(axis, Periods):
        for label in labels:
            yield f'<path class="p-tick" d="M{px(box.at(label.at))} {px(box.bottom)}v5"/>'
    if not written:
        return
    for label in labels:
        x = min(box.at(label.at), edge - len(label.text) * LETTER / 2)
        yield text("p-label", x, box.bottom + FIRST_LINE, label.text)
    for below, x in _second_line(labels, box, edge):
        yield text("p-below", x, box.bottom + SECOND_LINE, below)


def _second_line(labels: Sequence[Label], box: Box, edge: float) -> Iterator[tuple[str, float]]:
    """Yield the second line, as far as it fits; each text starts below its label."""
    named = [label for label in labels if label.below]
    places = [max(box.at(label.at) - 8, 2.0) for label in named]
    free = 0.0
    for number, label in enumerate(named):
        wide = len(label.below) * BOLD_LETTER
        # The rest of the first day, month or year is too short for its name.
        if number == 0 and len(named) > 1 and places[1] - places[0] < wide:
            continue
        x = min(places[number], edge - wide)
        if x >= free:
            yield label.below, x
            free = x + wide
