"""Tells single-phase devices from three-phase siblings, whose layouts explain them as well."""

from collections.abc import Mapping
from typing import Any

from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.quantity import PHASES, split_key

_MEASURED = ("voltage_a", "current_a", "active_power_a")
_OF_ALL = ("voltage", "current", "active_power")
_WHOLE = ("energy_import", "energy_export", "frequency")


def without_letter(profile: Profile, answer: Mapping[str, Any]) -> Mapping[str, Datapoint]:
    """Return the datapoints of phase a with keys of the whole device, for a single-phase device.

    An answer is from one if it has voltage, current and power of phase a, a counter or the
    frequency of the device, and no voltage, current or power of the device or of another phase. All
    nine published single-phase layouts that have these three where a three-phase one has its phase
    a name them without a letter. Frames follow their own rule: a single-phase device sends that of
    phase a.
    """
    points = {dp: point for dp, point in profile.datapoints.items() if dp in answer and point.keys}
    keys = {key for point in points.values() for key in point.keys}
    framed = any(point.frame for point in points.values())
    others = any(split_key(key)[1] in PHASES[1:] for key in keys) or keys.intersection(_OF_ALL)
    whole = keys.intersection(_WHOLE)
    if framed or others or not whole or not keys.issuperset(_MEASURED):
        return {}
    return {
        dp: _renamed(point, split_key(point.key)[0].key)
        for dp, point in points.items()
        if point.key in _MEASURED
    }


def _renamed(point: Datapoint, key: str) -> Datapoint:
    # Not a copy, which would keep the keys derived from the old profile.
    return Datapoint.model_validate(point.model_dump() | {"key": key})
