"""The places of values in a chart, SVG elements, and the legend in as many rows as needed."""

from collections.abc import Iterator
from html import escape

from esquirell.domain.record import record
from esquirell.plots.figure import Figure, Series
from esquirell.plots.words import Words

# The approximate width of letters of 12 px.
LETTER, BOLD_LETTER = 7.0, 7.8

LINE = 18
_KEY = 12
_BESIDE_KEY = 18
_AFTER = 18
_ESTIMATED = "rest"


@record
class Box:
    """Where values are drawn: a rectangle, and the values at its lower and upper edge."""

    x: float
    y: float
    width: float
    height: float
    least: float
    most: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    def at(self, part: float) -> float:
        """Return the place of a fraction of the width."""
        return self.x + part * self.width

    def of(self, value: float) -> float:
        """Return the height of a value."""
        share = (value - self.least) / (self.most - self.least)
        return self.y + self.height * (1 - share)


def px(value: float) -> str:
    """Return a coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def rect(kind: str, x: float, y: float, size: tuple[float, float], more: str = "") -> str:
    """Return a rectangle of a class, with more attributes."""
    width, height = size
    return (
        f'<rect class="{kind}" x="{px(x)}" y="{px(y)}" '
        f'width="{px(width)}" height="{px(height)}"{more}/>'
    )


def text(kind: str, x: float, y: float, words: str) -> str:
    """Return a text of a class."""
    return f'<text class="{kind}" x="{px(x)}" y="{px(y)}">{escape(words)}</text>'


def cut(words: str, width: float) -> str:
    """Truncate a text to a width."""
    most = max(4, int(width / LETTER))
    return words if len(words) <= most else f"{words[: most - 1]}…"


def colour_of(one: Series) -> str:
    """Return the CSS class with the colour of a series."""
    return "rest" if one.colour < 0 else f"c{one.colour % 8}"


class Legend:
    """The rows of a legend between two edges; one series needs none, as it is in the title."""

    def __init__(self, figure: Figure, words: Words, edges: tuple[float, float]) -> None:
        self._estimated = words.estimated if figure.is_estimated else ""
        entries = [
            (series.name, f"{colour_of(series)}{' p-down' if series.down else ''}")
            for series in figure.series
            # Many meters have a key for what they export, and never say anything of it.
            if series.points or not series.down
        ]
        if self._estimated:
            entries.append((self._estimated, _ESTIMATED))
        is_needed = len(entries) > 1 and not figure.panels
        self._rows = list(_rows(entries, edges)) if is_needed else []

    @property
    def height(self) -> int:
        """How much room it takes."""
        return len(self._rows) * LINE

    def draw(self, hatch: str) -> Iterator[str]:
        """Draw it; `hatch` fills estimates."""
        for number, row in enumerate(self._rows):
            y = 14 + number * LINE
            for x, name, colour in row:
                yield rect(f"p-key {colour}", x, y - 10, (_KEY, _KEY), ' rx="2"')
                if name == self._estimated:
                    yield rect("p-hatch", x, y - 10, (_KEY, _KEY), hatch)
                yield text("p-name", x + _BESIDE_KEY, y, name)


def _rows(
    entries: list[tuple[str, str]], edges: tuple[float, float]
) -> Iterator[list[tuple[float, str, str]]]:
    """Yield the rows: place, name and class of each entry."""
    left, right = edges
    row: list[tuple[float, str, str]] = []
    x = left
    for name, colour in entries:
        words = cut(name, right - left - _BESIDE_KEY)
        wide = _BESIDE_KEY + len(words) * LETTER + _AFTER
        if row and x + wide > right:
            yield row
            row, x = [], left
        row.append((x, words, colour))
        x += wide
    yield row
