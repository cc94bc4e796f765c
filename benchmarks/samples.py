"""What several repetitions of a measurement say together."""

import math
from collections.abc import Iterable
from statistics import median


class Sample:
    """Some measured values of one thing, at least one."""

    def __init__(self, values: Iterable[float]) -> None:
        self.values = sorted(values)
        if not self.values:
            raise ValueError("nothing was measured")

    @property
    def median(self) -> float:
        """The value in the middle."""
        return median(self.values)

    def percentile(self, share: float) -> float:
        """Return the smallest value that `share` of all (0 to 1) do not exceed."""
        return self.values[max(0, math.ceil(share * len(self.values)) - 1)]

    def text(self, digits: int = 2) -> str:
        """Write the median with the spread: lowest to highest."""
        low, high = self.values[0], self.values[-1]
        return f"{self.median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def per(amounts: Iterable[float], counts: Iterable[float]) -> list[float]:
    """Divide amounts by counts, leaving out where nothing was counted."""
    return [amount / count for amount, count in zip(amounts, counts, strict=True) if count]
