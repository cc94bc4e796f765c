"""Whole numbers as devices and libraries send them."""

import re

_WHOLE = re.compile(r"[+-]?\d{1,18}(\.0{1,6})?", re.ASCII)


def whole(raw: object) -> int | None:
    """Return the whole number that a raw value is: 2360, 2360.0 or "2360"; None for all else."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    if isinstance(raw, str) and _WHOLE.fullmatch(raw.strip()):
        return int(raw.strip().partition(".")[0])
    return None
