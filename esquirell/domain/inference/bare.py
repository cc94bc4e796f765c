"""What an answer says of itself when nothing else is known: frames, told by where and how."""

from collections.abc import Mapping
from typing import Any

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import Hint, unpack
from esquirell.domain.profile import Datapoint, Profile

# 143 of 165 products send phase a in DP 6; b and c follow. Micro inverters send one in DP 7.
_PHASES = {"6": "a", "7": "b", "8": "c"}
_LIVE_V = (80, 500)


def infer_frames(answer: Mapping[str, Any]) -> Profile:
    """Infer a profile of the phase frames alone, where the DPs of phases hold some."""
    points = {
        dp: Datapoint(code=f"phase_{phase}", frame="auto", suffix=phase)
        for dp, phase in _PHASES.items()
        if "6" in answer and _is_phase(answer.get(dp), f"phase_{phase}")
    }
    return Profile(name="phases", title="Phase frames of an unknown product", datapoints=points)


def _is_phase(raw: object, code: str) -> bool:
    """Tell whether a raw value is a frame with a grid's voltage, or one without voltage at all."""
    try:
        fields = unpack("auto", raw, Hint(code)).fields
    except DecodeError:
        return False
    low, high = _LIVE_V
    voltage = fields.get("voltage", -1)
    return low <= voltage <= high or (voltage == 0 and not any(fields.values()))
