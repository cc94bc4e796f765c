"""A plot in the terminal, of braille characters: two dots by four in each."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from esquirell.cli.curves import Curve, Frame, limits, ticks

DOTS_WIDE, DOTS_HIGH = 2, 4
ROWS = 12
MARGIN = 10

# The bit of each dot of a character, by its column and its row (Unicode, Braille Patterns).
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800


def steps(columns: int) -> int:
    """Tell how many steps there is room for in a terminal of so many columns."""
    return max(20, columns - MARGIN - 1) * DOTS_WIDE


def draw(curve: Curve, frame: Frame, zone: str) -> Iterator[str]:
    """Draw a curve; gives the lines to print."""
    yield f"{curve.name} ({curve.unit})"
    if not curve.steps:
        yield "  nothing is stored"
        return
    marks = ticks(*limits([curve]), about=4)
    least, most = marks[0], marks[-1]
    canvas = _Canvas(frame.steps, least, most)
    for number, low, high in _columns(curve):
        canvas.line(number, low, high)
    labels = {canvas.row(mark): f"{mark:g}" for mark in marks}
    for row, text in enumerate(canvas.rows()):
        yield f"{labels.get(row, ''):>{MARGIN - 2}} ┤{text}"
    yield _moments(frame, zone)


def _columns(curve: Curve) -> Iterator[tuple[int, float, float]]:
    """Give what to draw in each column of dots; steps that follow each other are joined."""
    if curve.bars:
        wide = max(1, curve.distance - 1)
        for number, step in curve.steps.items():
            mean = step.mean
            yield from ((number + more, min(mean, 0), max(mean, 0)) for more in range(wide))
        return
    for run in curve.runs():
        before = run[0][1]
        for number, step in run:
            yield number, min(step.least, before.most), max(step.most, before.least)
            before = step


class _Canvas:
    def __init__(self, steps: int, least: float, most: float) -> None:
        self._wide = steps // DOTS_WIDE
        self._least = least
        self._scale = (ROWS * DOTS_HIGH - 1) / (most - least)
        self._cells = [[0] * self._wide for _ in range(ROWS)]

    def row(self, value: float) -> int:
        return self._dot(value) // DOTS_HIGH

    def line(self, column: int, low: float, high: float) -> None:
        """Set the dots of a column from one value to another."""
        cell, part = divmod(column, DOTS_WIDE)
        if cell >= self._wide:
            return
        for dot in range(self._dot(high), self._dot(low) + 1):
            self._cells[dot // DOTS_HIGH][cell] |= _BITS[part][dot % DOTS_HIGH]

    def rows(self) -> Iterator[str]:
        for cells in self._cells:
            yield "".join(chr(_BLANK + bits) for bits in cells).rstrip(chr(_BLANK))

    def _dot(self, value: float) -> int:
        """Give the row of dots of a value, counted from the top."""
        return ROWS * DOTS_HIGH - 1 - round((value - self._least) * self._scale)


def _moments(frame: Frame, zone: str) -> str:
    wide = frame.steps // DOTS_WIDE
    begin, end = (
        moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
        for moment in (frame.begin, frame.end)
    )
    return " " * MARGIN + begin + end.rjust(max(len(end) + 1, wide - len(begin)))
