"""Physical limits: what no meter of a house or a workshop can have measured."""

from collections.abc import Mapping

from esquirell.domain.quantity import split_key

_LIMITS: Mapping[str, tuple[float, float]] = {
    "voltage": (0, 1500),
    "current": (-10_000, 10_000),
    "active_power": (-5e6, 5e6),
    "reactive_power": (-5e6, 5e6),
    "apparent_power": (0, 5e6),
    "power_factor": (-1, 1),
    "energy_import": (0, 1e7),
    "energy_export": (0, 1e7),
    "frequency": (0, 100),
    "temperature": (-60, 200),
    "leakage_current": (0, 100),
    "energy_charged": (0, 1e7),
    "energy_discharged": (0, 1e7),
    "energy_generated": (0, 1e7),
    "state_of_charge": (0, 100),
}


def is_possible(key: str, value: float) -> bool:
    """Tell whether a quantity can have this value, in its canonical unit; NaN can't be."""
    quantity, _ = split_key(key)
    lowest, highest = _LIMITS[quantity.key]
    return lowest <= value <= highest
