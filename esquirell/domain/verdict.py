"""What one look at a reading says of one of its values."""

from dataclasses import dataclass
from functools import lru_cache

TENS = (10.0, 100.0, 1000.0)
# Two figures that are the same but for their power of ten: a status is no simultaneous sample.
WITHIN = 1.25
# Nearly all verdicts are this one, of the same few keys with each reading.
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Scale:
    """What the value of `key` has to be divided by: a power of ten, or -1."""

    key: str
    divisor: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check` says of the value of `key`; of what it can't tell there is no verdict.

    `sentence` names what is wrong and holds no figure that changes from reading to reading;
    `scale` is given only where no other value can be at fault.
    """

    check: str
    key: str
    sentence: str = ""
    scale: Scale | None = None


@lru_cache(_REMEMBERED)
def fine(check: str, key: str) -> Verdict:
    """Find a value plausible."""
    return Verdict(check, key)


def ten_times(ratio: float) -> float | None:
    """Return the power of ten, other than 1, that a ratio is close to: 10, 0.1, …, else None."""
    if not ratio or WITHIN / TENS[0] < ratio < TENS[0] / WITHIN:
        return None
    for ten in TENS:
        if ten / WITHIN <= ratio <= ten * WITHIN:
            return ten
        if ten / WITHIN <= 1 / ratio <= ten * WITHIN:
            return 1 / ten
    return None


def scaled(key: str, divisor: float) -> str:
    """Say that a value is off by a power of ten."""
    if divisor > 1:
        return f"{key} is about {divisor:.0f} times too high"
    return f"{key} is about {1 / divisor:.0f} times too low"


def same(one: float, other: float) -> bool:
    """Return whether two positive figures mean the same."""
    return one <= other * WITHIN and other <= one * WITHIN
