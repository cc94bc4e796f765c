"""Compares the energy that meters count with that of their power."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

from esquirell.domain.integration import GROSS
from esquirell.domain.statistic import Statistic

LOOKED_BACK = timedelta(days=7)
# Counters in whole kilowatt-hours, and loads that run between two polls, are off by less.
COMPARED_KWH = 3.0
NAMES = ("active_power_min", "active_power_mean", "energy_import", "energy_export")
_WATT_SECONDS = 3_600_000.0
_DISAGREE = (
    "in its latest hours it counted {counted:.2f} kWh, where its power says {expected:.2f} kWh: "
    "the counter stands still, or one of the two has the wrong scale"
)


def disagreements(hours: Iterable[Statistic]) -> dict[str, str]:
    """Return what is wrong by meter, from the hours of several in time order; the rest agree."""
    of_meters: defaultdict[str, list[Statistic]] = defaultdict(list)
    for hour in hours:
        of_meters[hour.meter].append(hour)
    found = {name: _disagreement(of_meter) for name, of_meter in of_meters.items()}
    return {name: sentence for name, sentence in found.items() if sentence}


def _disagreement(hours: Sequence[Statistic]) -> str:
    """Compare as many of the latest hours as it takes, as a scale may have been corrected."""
    counted = expected = 0.0
    for hour in reversed(hours):
        if _is_comparable(hour):
            counted += sum(hour.values.get(name, 0.0) for name in NAMES if "energy" in name)
            expected += hour.values["active_power_mean"] * hour.weight / _WATT_SECONDS
        if max(counted, expected) >= COMPARED_KWH:
            break
    else:
        return ""
    agrees = expected <= GROSS * counted and counted <= GROSS * expected
    return "" if agrees else _DISAGREE.format(counted=counted, expected=expected)


def _is_comparable(hour: Statistic) -> bool:
    """Return whether power flowed in one direction only, which one counter counts."""
    counts = any(name in hour.values for name in NAMES if "energy" in name)
    return counts and not hour.estimated and hour.values.get("active_power_min", -1.0) >= 0
