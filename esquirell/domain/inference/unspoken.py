"""Datapoints that only their unit explains: taken where nothing else of the device can be it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from esquirell.domain.inference.draft import Draft, by_key
from esquirell.domain.inference.meaning import Meaning, is_chosen
from esquirell.domain.inference.scaling import scale
from esquirell.domain.inference.units import Dimension, unit_of
from esquirell.domain.plausibility import allows

_LIVE_V = (80, 300)
_QUANTITIES: Mapping[Dimension, str] = {
    "voltage": "voltage",
    "current": "current",
    "power": "active_power",
    "temperature": "temperature",
}


def adopt(drafts: Sequence[Draft]) -> None:
    """Return a meaning to what has a unit and an unknown code: a live voltage, and what fits it."""
    for dimension, quantity in _QUANTITIES.items():
        unknown = list(_unknown(drafts, dimension))
        known = any(draft.key and draft.key.startswith(quantity) for draft in drafts)
        framed = any(draft.frame for draft in drafts)
        if len(unknown) != 1 or known or framed:
            continue
        (draft,) = unknown
        draft.meaning = Meaning(quantity, sure=False)
        scale(draft)
        if draft.raw is None or not _PROOFS[quantity](draft, by_key(drafts)):
            draft.meaning = None


def _unknown(drafts: Sequence[Draft], dimension: Dimension) -> Iterator[Draft]:
    for draft in drafts:
        unit = unit_of(draft.spec.unit)
        if draft.meaning or draft.frame or unit is None or unit.dimension != dimension:
            continue
        if draft.is_number and not is_chosen(draft.spec):
            yield draft


def _is_live(draft: Draft, found: Mapping[str, Draft]) -> bool:
    """Whether it is a grid's voltage, of a device that measures a current or a power, too."""
    beside = {"current", "active_power"} & found.keys()
    return bool(beside) and _LIVE_V[0] <= (draft.value or 0) <= _LIVE_V[1]


def _is_beside_a_voltage(_draft: Draft, found: Mapping[str, Draft]) -> bool:
    voltage = found.get("voltage")
    return voltage is not None and _LIVE_V[0] <= (voltage.value or 0) <= _LIVE_V[1]


def _is_allowed(draft: Draft, found: Mapping[str, Draft]) -> bool:
    """Return whether the voltage is live and, with the current, allows this power."""
    if not _is_beside_a_voltage(draft, found):
        return False
    current = found.get("current")
    if current is None or current.value is None:
        return True
    return allows((found["voltage"].value or 0) * current.value, draft.value or 0)


def _is_below_zero_too(draft: Draft, found: Mapping[str, Draft]) -> bool:
    """Recognise a thermometer, whose lowest is below zero, of a device with a live voltage."""
    return (draft.spec.lowest or 0) < 0 and _is_beside_a_voltage(draft, found)


_PROOFS: Mapping[str, Callable[[Draft, Mapping[str, Draft]], bool]] = {
    "voltage": _is_live,
    "current": _is_beside_a_voltage,
    "active_power": _is_allowed,
    "temperature": _is_below_zero_too,
}
