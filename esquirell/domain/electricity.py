"""What voltage, current and power of one moment must have to do with each other."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from esquirell.domain.quantity import split_key

# Where an inverter or a store has another voltage than the grid.
NO_GRID = ("pv", "battery", "dc", "input", "output", "inverter")
# A status is no simultaneous sample, and small meters round: so much may P be above V x I.
_TOLERANCE = 1.3
_NOISE_W = 10
# Beyond this the fields of one frame do not belong together.
_ABSURD = 3
_ABSURD_W = 500
_LOADED_VA = 500
_NEAR = 0.01
# The answers of one meter mostly hold the same keys: which of them are powers is kept.
_SHAPES = 256


def is_excessive(fields: Mapping[str, float]) -> bool:
    """Return whether the power of a frame is far above its voltage x current."""
    if not {"voltage", "current", "active_power"} <= fields.keys():
        return False
    apparent = abs(fields["voltage"] * fields["current"])
    return abs(fields["active_power"]) > _ABSURD * apparent + _ABSURD_W


def allows(apparent: float, power: float) -> bool:
    """Return whether `apparent` (V x I, in VA) allows this power in W."""
    return abs(power) <= _TOLERANCE * abs(apparent) + _NOISE_W


def is_hollow(values: Mapping[str, float]) -> bool:
    """Return whether zeros stand for what was not measured: a power, and no voltage anywhere."""
    voltages, powers = _measured(tuple(values))
    if not voltages or any(values[key] for key in voltages):
        return False
    return any(values[key] for key in powers)


@lru_cache(_SHAPES)
def _measured(keys: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the voltages and the powers among the keys."""
    voltages = [key for key in keys if key.startswith("voltage")]
    return voltages, [key for key in keys if key.startswith("active_power")]


def contradictions(values: Mapping[str, float]) -> Iterator[str]:
    """Name each power that its own voltage and current speak against, one sentence each."""
    for key in _measured(tuple(values))[1]:
        power, suffix = values[key], split_key(key)[1]
        current = values.get(f"current_{suffix}" if suffix else "current")
        voltage = values.get(f"voltage_{suffix}" if suffix else "voltage", values.get("voltage"))
        if not voltage or current is None:
            continue
        if not allows(voltage * current, power):
            yield f"{key}: {power:g} W is more than {voltage:g} V and {current:g} A allow"
        elif _is_tenth(voltage * current, power) and f"power_factor{key[12:]}" not in values:
            yield f"{key}: {power:g} W is but a tenth of {voltage:g} V x {current:g} A"


def _is_tenth(apparent: float, power: float) -> bool:
    """Return whether a scale is wrong rather than the load idle: few of this size are."""
    return abs(apparent) >= _LOADED_VA and abs(abs(power / apparent) - 0.1) < _NEAR
