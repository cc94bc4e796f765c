"""Curves of the last hour: a mean power in W for each minute, None where it is unknown."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

# In minutes: meters polled every five minutes get a line, not points.
LONGEST_GAP = 6
# The box of a curve, in its own units.
WIDTH, HEIGHT = 240, 48


def zero_line(points: Sequence[float | None]) -> str:
    """Return the path of the line at 0 W: below a curve, or through it if energy is exported."""
    return f"M0 {_height(0.0, *_ends(points)):.1f}H{WIDTH}"


def _ends(points: Sequence[float | None]) -> tuple[float, float]:
    """Return the lowest and the highest value of a curve, including 0."""
    known = [value for value in points if value is not None]
    return min([0.0, *known]), max([0.0, *known])


def _height(value: float, low: float, high: float) -> float:
    return HEIGHT - 2 - (value - low) / ((high - low) or 1.0) * (HEIGHT - 4)


def total_curve(curves: Iterable[Sequence[float | None]]) -> list[float | None]:
    """Return the sum of curves, each from its first value on; None where one of them has a gap."""
    joined = [_joined(points) for points in curves if points]
    begins = [_begin(points) for points in joined]
    return [
        _total([points[at] for points, begin in zip(joined, begins, strict=True) if begin <= at])
        for at in range(max(map(len, joined), default=0))
    ]


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _begin(points: Sequence[float | None]) -> int:
    """Return the place of the first value of a curve; its length if it has none."""
    places = (number for number, value in enumerate(points) if value is not None)
    return next(places, len(points))


def _joined(points: Sequence[float | None]) -> list[float | None]:
    """Return a curve whose gaps are filled as they are drawn; the last value holds for as long."""
    longest = _longest_gap(points)
    filled = [*points, *[None] * longest]
    known = [(number, value) for number, value in enumerate(points) if value is not None]
    for begin, end in pairwise([*known, *((at + longest, value) for at, value in known[-1:])]):
        length = end[0] - begin[0]
        for step in range(1, length) if length <= longest else ():
            filled[begin[0] + step] = begin[1] + (end[1] - begin[1]) * step / length
    return filled[: len(points)]


def _longest_gap(points: Sequence[float | None]) -> int:
    """Return how far apart two values may be to be joined: those of a slow meter are."""
    places = [number for number, value in enumerate(points) if value is not None]
    return max(LONGEST_GAP, 2 * min((b - a for a, b in pairwise(places)), default=0))


def sparkline(points: Sequence[float | None]) -> str:
    """Return the path of a curve in its box; longer gaps stay open.

    A curve that has just begun is stretched to the box: on the scale of an hour its minutes
    would be a dot. A single point between two gaps is visible by the line's round ends.
    """
    points = points[_begin(points) :]
    if not points:
        return ""
    ends = _ends(points)
    step = WIDTH / max(1, len(points) - 1)
    longest = _longest_gap(points)
    parts, last = [], -1 - longest
    for number, value in enumerate(points):
        if value is not None:
            pen = "L" if number - last <= longest else "M"
            parts.append(f"{pen}{number * step:.1f} {_height(value, *ends):.1f}")
            last = number
    strokes = "".join(parts).split("M")[1:]
    return "".join(f"M{stroke}" if "L" in stroke else f"M{stroke}h0" for stroke in strokes)
