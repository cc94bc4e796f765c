"""The places of values in a chart, and SVG elements."""

from html import escape

from esquirell.domain.record import record
from esquirell.plots.figure import Series

# The approximate width of letters of 12 px.
LETTER, BOLD_LETTER = 7.0, 7.8


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
