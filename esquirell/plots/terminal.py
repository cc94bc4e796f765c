"""A figure in a terminal: bars of blocks, curves of braille dots, all charts with one scale.

Terminals that can't show them get plain characters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from esquirell.plots.axes import decimals_of, marks
from esquirell.plots.figure import MOST, Figure, Point, Series
from esquirell.plots.levels import Label
from esquirell.plots.words import ENGLISH, Words

ROWS = 12
MARGIN = 10
_NARROWEST = 20

# Two by four dots per character: the bit of each by its column and row (Unicode, Braille).
_DOTS_WIDE, _DOTS_HIGH = 2, 4
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_FULL, _ESTIMATED, _AXIS = "█", "░", "┤"
_PLAIN = {ord(char): "#" for char in _EIGHTHS[4:]} | {
    **{ord(char): "." for char in _EIGHTHS[1:4]},
    ord(_ESTIMATED): ":",
    ord(_AXIS): "|",
    ord("\N{MINUS SIGN}"): "-",
    **{_BLANK + bits: "*" for bits in range(1, 256)},
    _BLANK: " ",
}


def steps(columns: int) -> int:
    """Return how many steps fit a terminal of this many columns."""
    return _wide(columns) * _DOTS_WIDE


def draw(
    figure: Figure, columns: int, words: Words = ENGLISH, encoding: str = "utf-8"
) -> Iterator[str]:
    """Draw a figure for a terminal of this many columns; yield the lines to print."""
    charts, left_out = _charts(figure.scaled().series)
    shown = replace(figure.scaled(), series=[line for chart in charts for line in chart])
    for line in _lines(shown, charts, _wide(columns), words):
        yield _encodable(line, encoding)
    if left_out:
        yield words.left_out.format(count=left_out)


def _charts(series: Sequence[Series]) -> tuple[list[list[Series]], int]:
    """Return what is drawn together, the largest only, and how many charts are left out.

    Exports and other series that point down are drawn below those that point up.
    """
    charts: list[list[Series]] = []
    for line in series:
        if line.down and charts:
            charts[-1].append(line)
        else:
            charts.append([line])
    largest = sorted(charts, key=lambda chart: -sum(line.size for line in chart))[:MOST]
    return [chart for chart in charts if chart in largest], max(0, len(charts) - MOST)


def _wide(columns: int) -> int:
    return max(_NARROWEST, columns - MARGIN - 1)


def _encodable(line: str, encoding: str) -> str:
    try:
        line.encode(encoding)
    except UnicodeEncodeError:
        return line.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    return line


def _lines(
    figure: Figure, charts: Sequence[Sequence[Series]], wide: int, words: Words
) -> Iterator[str]:
    scale = marks(*_range(figure), about=4)
    texts = {_row_of(mark, scale): words.number(mark, decimals_of(scale)) for mark in scale}
    slot = wide // figure.axis.count if figure.kind == "bars" and figure.axis.count else 0
    wide = slot * figure.axis.count if slot else wide
    for chart in charts:
        name = ", ".join(line.name for line in chart)
        yield f"{name} ({figure.unit})" if figure.unit else name
        if not any(line.points for line in chart):
            yield f"  {words.nothing}"
            continue
        rows = _bars(chart, slot, wide, scale) if slot else _curves(figure, chart, wide, scale)
        for number, row in enumerate(rows):
            yield f"{texts.get(number, ''):>{MARGIN - 2}} {_AXIS}{row}".rstrip()
        # A label is below its bar, not below the gap beside it.
        yield from _below(figure.axis.labels(wide, words), wide, shift=0.5 if slot > 1 else 0.0)
    if figure.is_estimated:
        yield f"{' ' * MARGIN}{_ESTIMATED} {words.estimated}"


def _range(figure: Figure) -> tuple[float, float]:
    """Return the range that fits all charts: each is separate, so nothing is stacked."""
    values = [value for series in figure.series for value in series.drawn()] or [0.0, 1.0]
    if figure.from_zero:
        values.append(0.0)
    return min(values), max(values)


def _curves(
    figure: Figure, chart: Sequence[Series], wide: int, scale: Sequence[float]
) -> list[str]:
    canvas = _Canvas(wide, scale[0], scale[-1])
    step = wide * _DOTS_WIDE / figure.axis.count
    for line in chart:
        for run in line.runs():
            before = line.points[run[0]]
            for number in run:
                point = line.points[number]
                first, last = int(number * step), int((number + 1) * step)
                canvas.line(first, min(point.low, before.high), max(point.high, before.low))
                for column in range(first + 1, last):
                    canvas.line(column, point.low, point.high)
                before = point
    return canvas.rows()


def _row_of(value: float, scale: Sequence[float]) -> int:
    share = (value - scale[0]) / (scale[-1] - scale[0])
    return min(ROWS - 1, max(0, ROWS - 1 - int(share * ROWS)))


def _bars(chart: Sequence[Series], slot: int, wide: int, scale: Sequence[float]) -> list[str]:
    """Draw a bar for each step, above its label, with a gap where there is room."""
    lines = [[" "] * wide for _ in range(ROWS)]
    for line in chart:
        for number, point in line.points.items():
            columns = range(number * slot, (number + 1) * slot - (slot > 1))
            for row, char in _bar(line, point, scale):
                for column in columns:
                    lines[row][column] = char
    return ["".join(line).rstrip() for line in lines]


def _bar(one: Series, point: Point, scale: Sequence[float]) -> Iterator[tuple[int, str]]:
    """Yield the rows that a bar fills, in eighths; below zero in whole rows."""
    value = one.signed(point)
    per_row = (scale[-1] - scale[0]) / ROWS
    for row in range(ROWS):
        bottom = scale[0] + (ROWS - 1 - row) * per_row
        if value >= 0:
            filled = 0.0 if bottom + per_row <= 0 else (value - max(bottom, 0.0)) / per_row
        else:
            filled = 1.0 if value <= bottom + per_row / 2 < 0 else 0.0
        eighths = min(8, round(filled * 8))
        if eighths > 0:
            yield row, _ESTIMATED if point.estimated and eighths >= 4 else _EIGHTHS[eighths]  # noqa: PLR2004 - half a row


def _below(labels: Sequence[Label], wide: int, *, shift: float) -> Iterator[str]:
    """Yield the two lines of labels, each label at its place."""
    first, second = [" "] * (wide + MARGIN), [" "] * (wide + MARGIN)
    for label in labels:
        middle = MARGIN + int(label.at * wide - shift)
        _write(first, middle - len(label.text) // 2, label.text)
        if label.below:
            _write(second, middle - len(label.text) // 2, label.below)
    yield "".join(first).rstrip()
    if below := "".join(second).rstrip():
        yield below


def _write(line: list[str], at: int, text: str) -> None:
    """Write a text into a line, moved to the left where it would not fit."""
    begin = max(0, min(at, len(line) - len(text)))
    if all(char == " " for char in line[max(0, begin - 1) : begin + len(text)]):
        line[begin : begin + len(text)] = text


class _Canvas:
    """Braille dots in rows of characters."""

    def __init__(self, wide: int, least: float, most: float) -> None:
        self._wide = wide
        self._least = least
        self._scale = (ROWS * _DOTS_HIGH - 1) / (most - least)
        self._cells = [[0] * wide for _ in range(ROWS)]

    def line(self, column: int, low: float, high: float) -> None:
        """Set the dots of a column from one value to another."""
        cell, part = divmod(column, _DOTS_WIDE)
        if cell >= self._wide:
            return
        for dot in range(self._dot(high), self._dot(low) + 1):
            self._cells[dot // _DOTS_HIGH][cell] |= _BITS[part][dot % _DOTS_HIGH]

    def rows(self) -> list[str]:
        """Return the lines, from the top."""
        blank = chr(_BLANK)
        return [
            "".join(chr(_BLANK + bits) for bits in cells).rstrip(blank) for cells in self._cells
        ]

    def _dot(self, value: float) -> int:
        """Return the row of dots of a value, counted from the top."""
        return ROWS * _DOTS_HIGH - 1 - round((value - self._least) * self._scale)
