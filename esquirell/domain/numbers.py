"""Whole numbers: as devices and libraries send them, and as people write them."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_WHOLE = re.compile(r"[+-]?\d{1,18}(\.0{1,6})?", re.ASCII)
_TOO_LARGE = 10**18  # no counter comes near it, and a float can't be computed from any int


def whole(raw: object) -> int | None:
    """Return the whole number that a raw value is: 2360, 2360.0 or "2360"; None for all else.

    One of more than 18 digits is none, however it is written.
    """
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return raw if abs(raw) < _TOO_LARGE else None
    if isinstance(raw, float) and raw.is_integer():
        return int(raw) if abs(raw) < _TOO_LARGE else None
    if isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()):
        return int(raw.strip().partition(".")[0])
    return None


def finite(raw: object) -> float | None:
    """Return the number that a raw value is; None for all else, infinity and NaN included."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        number = float(raw)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _no_truth(value: object) -> object:
    """Refuse true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's protocol
    return value


NoTruth = BeforeValidator(_no_truth)
WholeNumber = Annotated[int, NoTruth]
