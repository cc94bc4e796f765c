"""A figure as SVG: readable without a script, in dark mode and on paper.

Colours are classes, so that a page sets them in its own style sheet; a file brings its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files
from math import ceil

from esquirell.domain.record import record
from esquirell.plots import shapes
from esquirell.plots.axes import marks
from esquirell.plots.box import LETTER, Box, colour_of, cut, px, rect, text
from esquirell.plots.figure import Figure
from esquirell.plots.words import ENGLISH, Words

WIDE, NARROW = 960, 360

_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 30, 42
_INSIDE = 228
_PANEL, _PANEL_TOP, _PANEL_INSIDE = 104, 44, 58
# How much wider bold letters are.
_BOLD = 1.2
# The legend: the height of a row, the size of a key, the room beside and after it.
_LINE = 18
_KEY = 12
_BESIDE_KEY = 18
_AFTER = 18
_ESTIMATED = "rest"
# Below this width two panels stand side by side, else four.
_SMALL = 600
# A band is useful as long as others do not hide it.
_MOST_BANDS = 3


def style() -> str:
    """Return the style sheet of charts, as a page or a file needs it."""
    return (files("esquirell.plots") / "picture.css").read_text(encoding="utf-8")


def draw(figure: Figure, words: Words = ENGLISH, width: int = WIDE, *, name: str = "") -> str:
    """Draw a figure for a page; `name` distinguishes several on a page.

    The root's attributes give the area of the values, and those at its lower and upper edge, for a
    script that shows a read-out and the present power.
    """
    picture = _picture(figure, words, width, name)
    box = picture.box
    place = (
        f'data-x="{px(box.x)}" data-width="{px(box.width)}" data-y="{px(box.y)}" '
        f'data-height="{px(box.height)}" data-least="{box.least:g}" data-most="{box.most:g}"'
    )
    opening = f'<svg class="plot" {picture.attributes} {place}>'
    return "\n".join([opening, *picture.parts(), "</svg>"])


def draw_alone(figure: Figure, words: Words = ENGLISH, width: int = WIDE) -> str:
    """Draw a figure as a standalone file."""
    picture = _picture(figure, words, width, "")
    # A page has a heading above it.
    picture = replace(picture, caption=f"{picture.figure.title}, {picture.figure.unit}")
    opening = (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" {picture.attributes} '
        f'width="{width}" height="{picture.height}">\n<style>\n{style()}</style>\n'
        f'<rect class="p-ground" width="{width}" height="{picture.height}"/>'
    )
    return "\n".join([opening, *picture.parts(), "</svg>\n"])


def as_drawn(figure: Figure, words: Words = ENGLISH) -> Figure:
    """Return a figure as it is drawn: reduced to what can be distinguished, in a suitable unit."""
    return figure.reduced(words).scaled()


class _Legend:
    """The rows of a legend between two edges; one series needs none, as it is in the title."""

    def __init__(self, figure: Figure, words: Words, edges: tuple[float, float]) -> None:
        self._estimated = words.estimated if figure.is_estimated else ""
        entries = [
            (series.name, f"{colour_of(series)}{' p-down' if series.down else ''}")
            for series in figure.series
            # Many meters have a key for what they export, and never export anything.
            if series.size or not series.down
        ]
        if self._estimated:
            entries.append((self._estimated, _ESTIMATED))
        is_needed = len(entries) > 1 and not figure.panels
        self._rows = list(_legend_rows(entries, edges)) if is_needed else []

    @property
    def height(self) -> int:
        """How much room it takes."""
        return len(self._rows) * _LINE

    def draw(self, hatch: str) -> Iterator[str]:
        """Draw it; `hatch` fills estimates."""
        for number, row in enumerate(self._rows):
            y = 14 + number * _LINE
            for x, name, colour in row:
                yield rect(f"p-key {colour}", x, y - 10, (_KEY, _KEY), ' rx="2"')
                if name == self._estimated:
                    yield rect("p-hatch", x, y - 10, (_KEY, _KEY), hatch)
                yield text("p-name", x + _BESIDE_KEY, y, name)


def _legend_rows(
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


def _picture(figure: Figure, words: Words, width: int, name: str) -> "_Picture":
    shown = as_drawn(figure, words)
    legend = _Legend(shown, words, (_LEFT, width - _RIGHT))
    scale = marks(*shown.range(), about=3 if shown.panels else 6)
    return _Picture(shown, words, width, name, legend, scale)


@record
class _Picture:
    """One chart while it is drawn."""

    figure: Figure
    words: Words
    width: int
    name: str
    legend: _Legend
    scale: Sequence[float]
    caption: str = ""

    @property
    def height(self) -> int:
        if self.figure.panels:
            rows = ceil(len(self.figure.series) / self._columns)
            return rows * _PANEL + _PANEL_TOP + 12
        return _TOP + self.legend.height + _INSIDE + _BOTTOM

    @property
    def attributes(self) -> str:
        """The attributes of the root: its size, and a one-line description."""
        names = ", ".join(series.name for series in self.figure.series)
        told = escape(f"{self.figure.title} ({self.figure.unit}): {names}")
        return f'viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{told}"'

    @property
    def box(self) -> Box:
        """Where the values are, unless each series has a panel."""
        least, most = self.scale[0], self.scale[-1]
        top = _TOP + self.legend.height
        return Box(_LEFT, top, self.width - _LEFT - _RIGHT, _INSIDE, least, most)

    @property
    def _columns(self) -> int:
        return min(2 if self.width < _SMALL else 4, len(self.figure.series))

    @property
    def _hatch(self) -> str:
        return f' fill="url(#{self.name}hatch)"'

    def parts(self) -> Iterator[str]:
        if self.figure.is_estimated:
            yield (
                f'<defs><pattern id="{self.name}hatch" width="6" height="6" '
                'patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
                '<rect class="p-stripe" width="2.4" height="6"/></pattern></defs>'
            )
        yield from self._panels() if self.figure.panels else self._whole()

    def _whole(self) -> Iterator[str]:
        """Draw all series in one place."""
        box, figure = self.box, self.figure
        yield from self.legend.draw(self._hatch)
        if self.caption:
            yield text("p-unit p-start", 8, box.y - 12, self.caption)
        else:
            yield text("p-unit", box.x - 8, box.y - 12, figure.unit)
        yield from shapes.values(box, self.scale, self.words)
        yield from shapes.moments(box, figure.axis, self.words, self.width - 2, written=True)
        if figure.is_empty:
            yield text("p-nothing", box.at(0.5), box.y + box.height / 2, self.words.nothing)
        elif figure.kind == "bars":
            yield from shapes.bars(box, figure, self.words, self._hatch)
        else:
            band = len(figure.series) <= _MOST_BANDS
            for series in figure.series:
                yield from shapes.curve(
                    box, series, figure.axis.count, colour_of(series), band=band
                )
        yield f'<path class="p-cursor" d="M0 {px(box.y)}V{px(box.bottom)}"/>'

    def _panels(self) -> Iterator[str]:
        """Draw each series in its own panel, all with one scale."""
        figure, axis = self.figure, self.figure.axis
        wide = self.width / self._columns
        yield text("p-unit p-start", 8, 16, self.caption or figure.unit)
        for number, series in enumerate(figure.series):
            x = number % self._columns * wide + _LEFT
            y = number // self._columns * _PANEL + _PANEL_TOP
            box = Box(x, y, wide - _LEFT - 8, _PANEL_INSIDE, self.scale[0], self.scale[-1])
            yield text("p-panel", x, y - 8, cut(series.name, box.width / _BOLD))
            yield from shapes.values(box, self.scale, self.words)
            is_last = number + self._columns >= len(figure.series)
            yield from shapes.moments(box, axis, self.words, box.right + 6, written=is_last)
            yield from shapes.curve(box, series, axis.count, "c0", band=True)
