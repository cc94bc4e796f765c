"""The figures with their goals, and the page that shows them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the list: what is to be reached, what was measured; `met` None: not measured."""

    number: int
    what: str
    goal: str
    measured: str
    met: bool | None


@dataclass(slots=True)
class Result:
    """What one part found: figures, and sections of text (Markdown) that explain them."""

    figures: list[Figure] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)

    def at_most(
        self, number: int, what: str, value: float, limit: float, unit: str, spread: str = ""
    ) -> None:
        """Add a figure that is to be at most `limit`; `spread` is what to show in its place."""
        shown = f"{spread or f'{value:.3g}'} {unit}".strip()
        self.figures.append(
            Figure(number, what, f"≤ {limit:g} {unit}".strip(), shown, value <= limit)
        )

    def judge(self, number: int, what: str, goal: str, measured: str, *, met: bool) -> None:
        """Add a figure whose goal is a sentence."""
        self.figures.append(Figure(number, what, goal, measured, met))

    def unmeasured(self, number: int, what: str, why: str) -> None:
        """Add a figure that could not be measured."""
        self.figures.append(Figure(number, what, "-", why, None))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figures_table(figures: Iterable[Figure]) -> str:
    """Write the figures with goal, measured, met or not, in the order of their numbers."""
    marks = {True: "yes", False: "**no**", None: "not measured"}
    rows = [
        (str(one.number), one.what, one.goal, one.measured, marks[one.met])
        for one in sorted(figures, key=lambda one: one.number)
    ]
    return table(("#", "figure", "to reach", "measured", "met"), rows)


def page(introduction: str, results: Sequence[Result]) -> str:
    """Write the whole page."""
    figures = [figure for result in results for figure in result.figures]
    sections = [section for result in results for section in result.sections]
    parts = ["# Performance", introduction, "## Figures", figures_table(figures), *sections]
    return "\n\n".join(parts) + "\n"
