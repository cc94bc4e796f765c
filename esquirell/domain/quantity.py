"""The table of quantities: key, unit, and how Home Assistant classifies each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Quantity:
    """One measured quantity in its canonical unit.

    `precision` is the number of decimals worth showing; `label` is its name for people.
    """

    key: str
    unit: str
    device_class: str
    state_class: str
    precision: int
    label: str


_TOTAL = "total_increasing"

QUANTITIES: dict[str, Quantity] = {
    quantity.key: quantity
    for quantity in (
        Quantity("voltage", "V", "voltage", "measurement", 1, "Voltage"),
        Quantity("current", "A", "current", "measurement", 3, "Current"),
        Quantity("active_power", "W", "power", "measurement", 0, "Power"),
        Quantity("reactive_power", "var", "reactive_power", "measurement", 0, "Reactive power"),
        Quantity("apparent_power", "VA", "apparent_power", "measurement", 0, "Apparent power"),
        Quantity("power_factor", "", "power_factor", "measurement", 2, "Power factor"),
        Quantity("energy_import", "kWh", "energy", _TOTAL, 2, "Energy import"),
        Quantity("energy_export", "kWh", "energy", _TOTAL, 2, "Energy export"),
        Quantity("frequency", "Hz", "frequency", "measurement", 1, "Frequency"),
        Quantity("temperature", "°C", "temperature", "measurement", 1, "Temperature"),
        Quantity("leakage_current", "A", "current", "measurement", 3, "Leakage current"),
        Quantity("energy_charged", "kWh", "energy", _TOTAL, 2, "Energy charged"),
        Quantity("energy_discharged", "kWh", "energy", _TOTAL, 2, "Energy discharged"),
        Quantity("energy_generated", "kWh", "energy", _TOTAL, 2, "Energy generated"),
        Quantity("state_of_charge", "%", "battery", "measurement", 0, "State of charge"),
    )
}

PHASES = ("a", "b", "c")

_LONGEST_FIRST = sorted(QUANTITIES, key=len, reverse=True)
# Each reading asks for each of its keys several times; a house has a few hundred at most.
_KEYS_REMEMBERED = 1024


@lru_cache(_KEYS_REMEMBERED)
def split_key(key: str) -> tuple[Quantity, str]:
    """Split a quantity key into its quantity and its suffix: `voltage_a` into voltage and `a`.

    The suffix is empty for a device's total. Raises KeyError for a key of no known quantity.
    """
    for name in _LONGEST_FIRST:
        if key == name:
            return QUANTITIES[name], ""
        if key.startswith(f"{name}_"):
            return QUANTITIES[name], key[len(name) + 1 :]
    raise KeyError(key)


def total_of(values: Mapping[str, float], name: str) -> float | None:
    """Return a quantity of the whole device: its total, else the sum of its parts, else None."""
    if name in values:
        return values[name]
    parts = [value for key, value in values.items() if is_part(key, name)]
    return sum(parts) if parts else None


@lru_cache(_KEYS_REMEMBERED)
def is_part(key: str, name: str) -> bool:
    """Whether `key` is one of the parts of a quantity: `active_power_a` of `active_power`."""
    return is_quantity_key(key) and key != name and split_key(key)[0].key == name


def with_suffix(name: str, suffix: str) -> str:
    """Build a quantity key: `voltage` and `a` make `voltage_a`; without a suffix it is a total."""
    return f"{name}_{suffix}" if suffix else name


@lru_cache(maxsize=1000)
def is_quantity_key(key: str) -> bool:
    """Tell whether `key` names a quantity, with or without a suffix."""
    try:
        split_key(key)
    except KeyError:
        return False
    return True


def is_counter(key: str) -> bool:
    """Tell whether `key` names a cumulative energy."""
    return split_key(key)[0].state_class == _TOTAL


def label_of(key: str) -> str:
    """Name a quantity key for people: `voltage_a` is `Voltage A`."""
    quantity, suffix = split_key(key)
    shown = suffix.upper() if len(suffix) == 1 or suffix.startswith("pv") else suffix
    return f"{quantity.label} {shown.replace('_', ' ')}".rstrip()
