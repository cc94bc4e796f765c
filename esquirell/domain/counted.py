"""Compares the energy that a meter counts with that of its power, where both must agree."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from esquirell.domain.integration import GROSS
from esquirell.domain.quantity import split_key
from esquirell.domain.statistic import HOUR_S, PEAK_DEMAND, Statistic

LOOKED_BACK = timedelta(days=7)
# Counters in whole kilowatt-hours are off by less.
COMPARED_KWH = 3.0
_IMPORT, _EXPORT = "energy_import", "energy_export"
_POWER = "active_power"
# Two phases alone are rather two clamps at different places, and other suffixes always are.
_ONE_PLACE = ({""}, {"", "a"}, {"", "a", "b", "c"})
# What has these has several powers, of which the total may be any.
_OF_INVERTERS = {"energy_charged", "energy_discharged", "energy_generated", "state_of_charge"}
# Energy and power belong together only if both are known for the same time.
_NEARLY_WHOLE_S = 0.9 * HOUR_S
# Below it a power is shown as 0 that is counted, or shown and not counted.
_LEAST_W = 50.0
# Loads that run between two readings are off by one reading each.
_LEAST_READINGS = 10
_W_PER_KW, _WATT_SECONDS = 1000.0, 3_600_000.0
_DISAGREE = (
    "in its latest hours it counted {counted:.2f} kWh, where its power says {expected:.2f} kWh: "
)
_TOO_LITTLE = f"{_DISAGREE}the counter stands still, or one of the two has the wrong scale"
_TOO_MUCH = f"{_DISAGREE}one of the two has the wrong scale"


def disagreement(hours: Sequence[Statistic]) -> str:
    """Return what is wrong with a meter, from its hours in time order; "" if nothing is."""
    names = {name for hour in hours for name in hour.values}
    if not _measures_one_place(names) or not _has_a_sign(hours):
        return ""
    return _compare([hour for hour in hours if _is_comparable(hour, names)])


def _compare(hours: Sequence[Statistic]) -> str:
    """Compare as many of the latest hours as it takes, as a scale may have been corrected."""
    counted = expected = seconds = 0.0
    needed = COMPARED_KWH
    for hour in reversed(hours):
        counted += hour.values.get(_IMPORT, 0.0) + hour.values.get(_EXPORT, 0.0)
        expected += hour.values[f"{_POWER}_mean"] * hour.weight / _WATT_SECONDS
        seconds += hour.weight
        one_reading = hour.values[f"{_POWER}_max"] / max(hour.readings, 1) / _W_PER_KW
        needed = max(needed, _LEAST_READINGS * one_reading)
        if max(counted, expected) >= needed:
            break
    else:
        return ""
    too_little, too_much = expected > GROSS * counted, counted > GROSS * expected
    is_noise = expected * _WATT_SECONDS < _LEAST_W * seconds
    if is_noise or not (too_little or too_much):
        return ""
    return (_TOO_LITTLE if too_little else _TOO_MUCH).format(counted=counted, expected=expected)


def _measures_one_place(names: Iterable[str]) -> bool:
    """Whether the total counters are of the total power."""
    keys = {
        name.removesuffix("_mean")
        for name in names
        if name != PEAK_DEMAND and not name.endswith(("_min", "_max"))
    }
    parts = [split_key(key) for key in keys]
    return (
        _POWER in keys
        and not keys.isdisjoint((_IMPORT, _EXPORT))
        and {suffix for _, suffix in parts} in _ONE_PLACE
        and _OF_INVERTERS.isdisjoint(quantity.key for quantity, _ in parts)
    )


def _has_a_sign(hours: Iterable[Statistic]) -> bool:
    """Whether the power falls below 0 if both counters are in use; else it is of one of them."""
    used = {name for hour in hours for name in (_IMPORT, _EXPORT) if hour.values.get(name)}
    least = min(hour.values.get(f"{_POWER}_min", 0.0) for hour in hours)
    return len(used) <= 1 or least < 0


def _is_comparable(hour: Statistic, names: Iterable[str]) -> bool:
    """Whether all is known of an hour, and power flowed in one direction only in each phase.

    Meters that do not net their phases count both directions at once.
    """
    values = hour.values
    powers = [name for name in names if name.startswith(_POWER) and name.endswith("_min")]
    return (
        not hour.estimated
        and (hour.seconds or 0.0) >= _NEARLY_WHOLE_S
        and all(name in values for name in (_IMPORT, _EXPORT) if name in names)
        and all(values.get(name, -1.0) >= 0 for name in powers)
        and not (values.get(_IMPORT) and values.get(_EXPORT))
    )
