"""Undescribed phase frames: found by their place, and by the grid's voltage in them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import Hint, unpack
from esquirell.domain.inference.specification import Specified

# 143 of 165 products send phase a in DP 6; b and c follow. Micro inverters send one in DP 7.
_PHASES = {"6": "a", "7": "b", "8": "c"}
_LIVE_V = (80, 500)


def undescribed_frames(
    described: Collection[str], answer: Mapping[str, Any]
) -> Iterator[Specified]:
    """Return the phases in an answer whose DPs are not `described`, if there is a phase a."""
    if "6" not in answer:
        return
    for dp, phase in _PHASES.items():
        code = f"phase_{phase}"
        if dp not in described and code not in described and _is_phase(answer.get(dp), code):
            yield Specified(dp, code, "raw")


def _is_phase(raw: object, code: str) -> bool:
    """Whether a raw value is a frame with a grid's voltage, or one without voltage at all."""
    try:
        fields = unpack("auto", raw, Hint(code)).fields
    except DecodeError:
        return False
    low, high = _LIVE_V
    voltage = fields.get("voltage", -1)
    return low <= voltage <= high or (voltage == 0 and not any(fields.values()))
