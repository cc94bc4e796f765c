"""Whole numbers, as sent by devices and libraries and as written by people."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator

_WHOLE = re.compile(r"[+-]?\d{1,18}(\.0{1,6})?", re.ASCII)
_TOO_LARGE = 10**18  # no counter comes near it, and a float can't be computed from any int
# A power below zero in 32 bits without a sign, and divided by ten after that, as PC321-Z-TY does.
_ROUNDS = (1 << 32, 0x1999999A)
_MOST_BACK = 10**7


def whole(raw: object) -> int | None:
    """Return a raw value as a whole number: 2360, 2360.0 or "2360"; None for anything else.

    Numbers with more than 18 digits are rejected, however they are written.
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


def signed_power(raw: int) -> int:
    """Return a power with its sign: what flows back may be a distance below 2^32 or its tenth.

    -1 in 32 bits stays as it is: it is how devices write that they have no value.
    """
    return next((raw - turn for turn in _ROUNDS if 1 < turn - raw < _MOST_BACK), raw)


def finite(raw: object) -> float | None:
    """Return a raw value as a number; None for anything else, infinity and NaN included."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        number = float(raw)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _no_truth(value: object) -> object:
    """Reject true and false, which pydantic would accept as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic's protocol
    return value


NoTruth = BeforeValidator(_no_truth)
WholeNumber = Annotated[int, NoTruth]
