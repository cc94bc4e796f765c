"""JSON in place of a frame: a phase as the cloud renders it, and dé's charger."""

import json
import math
from collections.abc import Mapping
from typing import Any

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames.octets import LONGEST_TEXT
from esquirell.domain.frames.phase import Fields
from esquirell.domain.plausibility import closest

_PHASE_FIELDS = {
    "voltage": ("voltage", 1),
    "electricCurrent": ("current", 1),
    "power": ("active_power", 1000),
    "reactivePower": ("reactive_power", 1000),
    "apparentPower": ("apparent_power", 1000),
    "powerFactor": ("power_factor", 1),
}
# More than any charger's line has.
_MOST_A = 200
_LINES = {"L1": "a", "L2": "b", "L3": "c"}


def looks_like_json(raw: object) -> bool:
    """Return whether a raw value is a JSON object, as text or already parsed."""
    return isinstance(raw, Mapping) or (isinstance(raw, str) and raw.lstrip().startswith("{"))


def document(raw: object) -> Mapping[str, Any]:
    """Parse a JSON object. Raises DecodeError."""
    if isinstance(raw, str) and len(raw) <= LONGEST_TEXT:
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise DecodeError("the text is not valid JSON") from None
    if not isinstance(raw, Mapping):
        raise DecodeError(f"expected a JSON object, got {type(raw).__name__}")
    return raw


def phase(fields: Mapping[str, Any]) -> Fields:
    """Voltage in V, electricCurrent in A, powers in kW, kvar and kVA, powerFactor as a ratio."""
    found = {
        key: _finite(fields[name]) * factor
        for name, (key, factor) in _PHASE_FIELDS.items()
        if fields.get(name) is not None
    }
    if not found:
        raise DecodeError("the JSON object has no phase")
    return {key: round(value, 6) for key, value in found.items()}


def charger(fields: Mapping[str, Any]) -> Fields:
    """L1 to L3: V in 0.1 V, I and P in the scale at which they match; `t` in 0.1 °C."""
    found: Fields = {}
    for line, name in _LINES.items():
        if line in fields:
            found |= _line(fields[line], name)
    if not found:
        raise DecodeError("the JSON object has no lines")
    tenths = _finite_or_none(fields.get("t"))
    if tenths is not None:
        found["temperature"] = tenths / 10
    return found | _total(fields, found)


def _total(fields: Mapping[str, Any], found: Fields) -> Fields:
    """Return `p`, the power of all lines in their scale, if it is their sum."""
    total, lines = _finite_or_none(fields.get("p")), [line for line in _LINES if line in fields]
    added = sum(_finite(fields[line][2]) for line in lines)
    # Each is rounded separately.
    if total is None or abs(total - added) > len(lines):
        return {}
    watts = sum(found[f"active_power_{_LINES[line]}"] for line in lines)
    return {"active_power": total * watts / added if added else 0.0}


def _line(raw: object, name: str) -> Fields:
    if not isinstance(raw, list) or len(raw) != 3:  # noqa: PLR2004 - V, I, P
        raise DecodeError("a line must have voltage, current and power")
    voltage, amperes, power = _finite(raw[0]) / 10, _finite(raw[1]), _finite(raw[2])
    # Ten times each: the charger's own 0.1 A and 0.1 kW first, then mA and W.
    every = [(amperes / 10, power * 100), (amperes / 10, power), (amperes / 1000, power)]
    # 2.3 kW at 10 A agree in mA and W as well as 230 kW at 1000 A do in the charger's own.
    pairs = [pair for pair in every if pair[0] <= _MOST_A] or every
    # Rounded, as the first of equals counts and a last bit would decide otherwise.
    ratios = [round(watts / (voltage * a), 9) if voltage * a else 1 for a, watts in pairs]
    fit = closest(1, ratios)
    return {
        f"voltage_{name}": voltage,
        f"current_{name}": pairs[fit][0],
        f"active_power_{name}": pairs[fit][1],
    }


def _finite(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise DecodeError(f"expected a number, got {type(raw).__name__}")
    try:
        number = float(raw)
    except OverflowError:
        raise DecodeError("a number is too large") from None
    if not math.isfinite(number):
        raise DecodeError("a number is not finite")
    return number


def _finite_or_none(raw: object) -> float | None:
    try:
        return _finite(raw)
    except DecodeError:
        return None
