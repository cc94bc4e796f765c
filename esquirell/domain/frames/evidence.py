"""Which of several scales a packed frame uses: the one at which power is voltage x current."""

from collections.abc import Iterable


def closest(apparent: float, powers: Iterable[float]) -> int:
    """Return the index of the power that fits `apparent` (V x I, in VA) best; first of equals.

    A power of zero fits anything, and without a current nothing can be told: then the first.
    """
    every = list(powers)
    if apparent <= 0:
        return 0
    return min(range(len(every)), key=lambda at: _misfit(apparent, abs(every[at])))


def _misfit(apparent: float, power: float) -> float:
    """Measure how far a power is from V x I; a bit above may be, far above can't."""
    if power <= 0:
        return 0
    ratio = power / apparent
    return ratio if ratio > 1 else 1 / ratio
