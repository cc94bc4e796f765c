"""The legend of a chart, in as many rows as needed."""

from collections.abc import Iterator

from esquirell.plots.box import LETTER, colour_of, cut, rect, text
from esquirell.plots.figure import Figure
from esquirell.plots.words import Words

LINE = 18
_KEY = 12
_BESIDE_KEY = 18
_AFTER = 18
_ESTIMATED = "rest"


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
