"""Corrects clamps that were mounted the wrong way round."""

import math
from collections.abc import Collection, Mapping
from typing import Literal

from esquirell.domain.quantity import PHASES, split_key, with_suffix

Invert = bool | tuple[Literal["a", "b", "c"], ...]

_SIGNED = ("active_power", "reactive_power")
_SWAPPED = {"energy_import": "energy_export", "energy_export": "energy_import"}
# Counters of phases and total may differ by this: 0.01 kWh each, and rounding.
_COUNTERS_WITHIN = 0.1


def invert(
    values: Mapping[str, float], which: Invert, keys: Collection[str]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Negate powers and swap import with export, for all phases (True) or some.

    If only some phases are inverted, the totals are summed again over the phases among `keys`,
    which are all keys of the meter; a total that can't be is left out. Return the values, and a
    sentence for each counter that can't be corrected.
    """
    if which is True:
        return _turned(values, None), ()
    if not which:
        return dict(values), ()
    turned = _turned(values, which)
    lasting = [name for name in _SWAPPED if name in values and not _is_sum(name, values)]
    for name in (*_SIGNED, *_SWAPPED):
        if name in values and name not in lasting:
            _replace_total(name, turned, _phases(name, keys))
    return turned, tuple(_sentence(name) for name in lasting)


def _turned(values: Mapping[str, float], suffixes: Collection[str] | None) -> dict[str, float]:
    turned: dict[str, float] = {}
    for key, value in values.items():
        quantity, suffix = split_key(key)
        if suffixes is not None and suffix not in suffixes:
            turned[key] = value
        elif quantity.key in _SIGNED:
            turned[key] = -value or 0.0  # no negative zero
        else:
            turned[with_suffix(_SWAPPED.get(quantity.key, quantity.key), suffix)] = value
    return turned | _factors(turned, suffixes)


def _factors(values: Mapping[str, float], suffixes: Collection[str] | None) -> dict[str, float]:
    """Return the power factors with the sign of their power, whether or not one was sent."""
    affected = {suffix for _, suffix in map(split_key, values)}
    pairs = (
        (with_suffix("power_factor", suffix), values.get(with_suffix("active_power", suffix)))
        for suffix in (affected if suffixes is None else affected.intersection(suffixes))
    )
    return {
        key: math.copysign(values[key], power) for key, power in pairs if power and key in values
    }


def _phases(name: str, keys: Collection[str]) -> list[str]:
    return [key for key in (f"{name}_{phase}" for phase in PHASES) if key in keys]


def _is_sum(name: str, values: Mapping[str, float]) -> bool:
    """Whether a counter of the device is known to be the sum of its phases."""
    phases = [values[key] for key in _phases(name, values)]
    if len(phases) < len(PHASES):
        return True
    return abs(sum(phases) - values[name]) <= max(_COUNTERS_WITHIN, 0.01 * values[name])


def _replace_total(name: str, values: dict[str, float], phases: Collection[str]) -> None:
    """Sum up the phases; if one is missing the total is unknown."""
    values.pop(name, None)
    if phases and all(phase in values for phase in phases):
        values[name] = round(sum(values[phase] for phase in phases), 6)


def _sentence(name: str) -> str:
    return f"{name} is not the sum of the phases: inverting a phase leaves it as it is"
