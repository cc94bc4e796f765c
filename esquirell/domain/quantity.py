"""The table of quantities: key, unit, and how Home Assistant classifies each."""

from collections.abc import Collection, Mapping
from functools import lru_cache

from esquirell.domain.record import record


@record
class Quantity:
    """One measured quantity in its canonical unit.

    `precision` is the number of decimals worth showing, `label` its name for people. `possible` is
    the range that a meter of a house or workshop can measure at all: a number outside is rejected.
    A value outside `usual` is doubted.
    """

    key: str
    unit: str
    device_class: str
    state_class: str
    precision: int
    label: str
    possible: tuple[float, float]
    usual: tuple[float, float] | None = None


_NOW, _TOTAL = "measurement", "total_increasing"
_ENERGY = (0.0, 1e7)
_POWER = (-5e6, 5e6)
_KILO = 1000

# A new quantity is one row here: it is published, stored and shown without any other change.
QUANTITIES: dict[str, Quantity] = {
    quantity.key: quantity
    for quantity in (
        # A voltage depends on where it was measured: see plausibility.
        Quantity("voltage", "V", "voltage", _NOW, 1, "Voltage", (0, 1500)),
        Quantity("current", "A", "current", _NOW, 2, "Current", (-10_000, 10_000)),
        Quantity("active_power", "W", "power", _NOW, 0, "Power", _POWER),
        Quantity("reactive_power", "var", "reactive_power", _NOW, 0, "Reactive power", _POWER),
        Quantity("apparent_power", "VA", "apparent_power", _NOW, 0, "Apparent power", (0, 5e6)),
        Quantity("power_factor", "", "power_factor", _NOW, 2, "Power factor", (-1, 1), (-1, 1)),
        Quantity("energy_import", "kWh", "energy", _TOTAL, 2, "Energy import", _ENERGY),
        Quantity("energy_export", "kWh", "energy", _TOTAL, 2, "Energy export", _ENERGY),
        Quantity("frequency", "Hz", "frequency", _NOW, 1, "Frequency", (0, 100), (45, 65)),
        Quantity(
            "temperature", "°C", "temperature", _NOW, 1, "Temperature", (-60, 200), (-50, 125)
        ),
        Quantity("leakage_current", "A", "current", _NOW, 3, "Leakage current", (0, 100)),
        Quantity("energy_charged", "kWh", "energy", _TOTAL, 2, "Energy charged", _ENERGY),
        Quantity("energy_discharged", "kWh", "energy", _TOTAL, 2, "Energy discharged", _ENERGY),
        Quantity("energy_generated", "kWh", "energy", _TOTAL, 2, "Energy generated", _ENERGY),
        Quantity("state_of_charge", "%", "battery", _NOW, 0, "State of charge", (0, 100), (0, 100)),
    )
}

PHASES = ("a", "b", "c")

_LONGEST_FIRST = sorted(QUANTITIES, key=len, reverse=True)
# Each reading looks up each of its keys several times; a house has a few hundred at most.
_KEYS_REMEMBERED = 1024


@lru_cache(_KEYS_REMEMBERED)
def split_key(key: str) -> tuple[Quantity, str]:
    """Split a quantity key into quantity and suffix: `voltage_a` into `voltage` and `a`.

    The suffix of a device's total is empty. Raises KeyError for an unknown quantity.
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
    """Return a quantity key: `voltage` and `a` make `voltage_a`; without a suffix it is a total."""
    return f"{name}_{suffix}" if suffix else name


@lru_cache(maxsize=1000)
def is_quantity_key(key: str) -> bool:
    """Return whether `key` names a quantity, with or without a suffix."""
    try:
        split_key(key)
    except KeyError:
        return False
    return True


def possible(key: str) -> tuple[float, float]:
    """Return the lowest and the highest possible value of a quantity, in its canonical unit."""
    return split_key(key)[0].possible


def is_possible(key: str, value: float) -> bool:
    """Whether a value is possible for a quantity, in its canonical unit; NaN is not."""
    least, greatest = possible(key)
    return least <= value <= greatest


@lru_cache(_KEYS_REMEMBERED)
def is_counter(key: str) -> bool:
    """Return whether `key` names a cumulative energy."""
    return split_key(key)[0].state_class == _TOTAL


def label_of(key: str) -> str:
    """Return the name of a quantity key for people: `Voltage A` for `voltage_a`."""
    quantity, suffix = split_key(key)
    short = len(suffix) == 1 or suffix.startswith(("pv", "dc")) or suffix == "ac"
    shown = suffix.upper() if short else suffix
    return f"{quantity.label} {shown.replace('_', ' ')}".rstrip()


def summary(values: Mapping[str, float], withheld: Collection[str] = ()) -> str:
    """Return the power and the counters of a device as text: `1.24 kW, 1064.21 kWh`.

    An energy whose total or a part of it is `withheld` is left out. A device that measures neither
    is summed up by its first values.
    """
    power = total_of(values, "active_power")
    energies = {
        quantity: total
        for quantity in QUANTITIES.values()
        if quantity.unit == "kWh"
        and not any(split_key(key)[0] == quantity for key in withheld)
        and (total := total_of(values, quantity.key)) is not None
    }
    parts = [] if power is None else [_power_text(power)]
    for quantity, total in energies.items():
        direction = quantity.label.removeprefix("Energy") if len(energies) > 1 else ""
        parts.append(f"{total:.{quantity.precision}f} kWh{direction}")
    return ", ".join(parts) or ", ".join(_with_unit(*pair) for pair in [*values.items()][:3])


def _power_text(watts: float) -> str:
    return f"{watts / _KILO:.2f} kW" if abs(watts) >= _KILO else f"{watts:.0f} W"


def _with_unit(key: str, value: float) -> str:
    quantity = split_key(key)[0]
    return f"{value:.{quantity.precision}f} {quantity.unit}".rstrip()
