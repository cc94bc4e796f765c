"""The scales of a chart: values on the left, times below."""

from collections.abc import Iterator, Sequence

from esquirell.plots.axes import Axis, Periods, decimals_of
from esquirell.plots.box import BOLD_LETTER, LETTER, Box, px, text
from esquirell.plots.levels import Label
from esquirell.plots.words import Words

FIRST_LINE, SECOND_LINE = 19, 36


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
