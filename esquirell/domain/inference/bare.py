"""What an answer says of itself when nothing else is known: frames, told by where and how."""

from collections.abc import Mapping
from typing import Any

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import Hint, unpack
from esquirell.domain.profile import Datapoint, Profile

# 143 of 165 products send phase a in DP 6; b and c follow. Micro inverters send one in DP 7.
_PHASES = {"6": "a", "7": "b", "8": "c"}
_LIVE_V = (80, 500)
# Breakers, meters and chargers that send frames there all count their import in DP 1.
_COUNTER = Datapoint(code="forward_energy_total", key="energy_import", divisor=100, trust="likely")


def infer_frames(answer: Mapping[str, Any]) -> Profile:
    """Infer a profile of the phase frames alone, where the DPs of phases hold some."""
    points = {
        dp: Datapoint(code=f"phase_{phase}", frame="auto", suffix=phase)
        for dp, phase in _PHASES.items()
        if "6" in answer and _is_phase(answer.get(dp), f"phase_{phase}")
    }
    if points and isinstance(answer.get("1"), int) and not isinstance(answer["1"], bool):
        points["1"] = _COUNTER
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
