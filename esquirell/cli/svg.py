"""A plot as an SVG picture, which browsers and word processors show."""

from collections.abc import Iterator, Sequence
from html import escape
from zoneinfo import ZoneInfo

from esquirell.cli.curves import Curve, Frame, limits, ticks

WIDTH, HEIGHT = 960, 400
STEPS = 840
LEFT, RIGHT, TOP, BOTTOM = 70, 50, 40, 40
# Told apart also by those who don't see all colours (Okabe and Ito, 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

# About the width of a letter of the legend.
_LETTER = 7
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}.line{fill:none;stroke-width:1.5}"
    ".band{stroke:none;fill-opacity:.2}"
)


def draw(curves: Sequence[Curve], frame: Frame, zone: str) -> Iterator[str]:
    """Draw curves of one unit; gives the lines of the file."""
    marks = ticks(*limits(curves), about=6)
    scale = _Scale(frame.steps, marks[0], marks[-1])
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}"><style>{_STYLE}</style>'
    )
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    yield from _rows(marks, scale)
    yield from _moments(frame, scale, zone)
    yield from _curves(curves, scale)
    yield "</svg>"


def _curves(curves: Sequence[Curve], scale: "_Scale") -> Iterator[str]:
    place = LEFT
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        if curve.bars:
            yield from _bars(curve, scale, colour, (number, len(curves)))
        else:
            yield from _lines(curve, scale, colour)
        text = f"{curve.name} ({curve.unit})"
        yield f'<rect x="{place}" y="14" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{place + 18}" y="24">{escape(text)}</text>'
        place += 40 + _LETTER * len(text)


class _Scale:
    """Turns steps and values into places in the picture."""

    def __init__(self, steps: int, least: float, most: float) -> None:
        self._wide = (WIDTH - LEFT - RIGHT) / steps
        self._high = (HEIGHT - TOP - BOTTOM) / (most - least)
        self._least = least

    def x(self, step: float) -> float:
        return round(LEFT + step * self._wide, 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - self._least) * self._high, 1)


def _rows(marks: Sequence[float], scale: _Scale) -> Iterator[str]:
    for mark in marks:
        y = scale.y(mark)
        yield f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{mark:g}</text>'


def _moments(frame: Frame, scale: _Scale, zone: str) -> Iterator[str]:
    form = "%m-%d %H:%M" if (frame.end - frame.begin).days < 8 else "%Y-%m-%d"  # noqa: PLR2004 - beyond a week hours say nothing
    for eighth in range(0, 9, 2):
        step = frame.steps * eighth / 8
        text = frame.moment(step).astimezone(ZoneInfo(zone)).strftime(form)
        yield f'<text x="{scale.x(step)}" y="{HEIGHT - 14}" text-anchor="middle">{text}</text>'


def _lines(curve: Curve, scale: _Scale, colour: str) -> Iterator[str]:
    for run in curve.runs():
        there = [f"{scale.x(number)} {scale.y(step.most)}" for number, step in run]
        back = [f"{scale.x(number)} {scale.y(step.least)}" for number, step in reversed(run)]
        yield f'<path class="band" fill="{colour}" d="M{"L".join([*there, *back])}z"/>'
        means = "L".join(f"{scale.x(number)} {scale.y(step.mean)}" for number, step in run)
        yield f'<path class="line" stroke="{colour}" d="M{means}"/>'


def _bars(curve: Curve, scale: _Scale, colour: str, share: tuple[int, int]) -> Iterator[str]:
    """Draw the bars of one of several curves beside those of the others."""
    number_of, count = share
    wide = max(1.0, (scale.x(curve.distance) - LEFT) * 0.8 / count)
    for number, step in curve.steps.items():
        x, y, zero = scale.x(number) + number_of * wide, scale.y(step.mean), scale.y(0)
        yield (
            f'<rect x="{x:.1f}" y="{min(y, zero)}" width="{wide:.1f}" '
            f'height="{abs(zero - y):.1f}" fill="{colour}" fill-opacity=".8"/>'
        )
