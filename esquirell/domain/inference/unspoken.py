"""Datapoints that only their unit explains: taken where nothing else of the device can be it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from esquirell.domain.inference.inferred import InferredDatapoint, by_key
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


def adopt(points: Sequence[InferredDatapoint]) -> None:
    """Return a meaning to what has a unit and an unknown code: a live voltage, and what fits it."""
    for dimension, quantity in _QUANTITIES.items():
        unknown = list(_unknown(points, dimension))
        known = any(point.key and point.key.startswith(quantity) for point in points)
        framed = any(point.frame for point in points)
        if len(unknown) != 1 or known or framed:
            continue
        (point,) = unknown
        point.meaning = Meaning(quantity, sure=False)
        scale(point)
        if point.raw is None or not _PROOFS[quantity](point, by_key(points)):
            point.meaning = None


def _unknown(
    points: Sequence[InferredDatapoint], dimension: Dimension
) -> Iterator[InferredDatapoint]:
    for point in points:
        unit = unit_of(point.spec.unit)
        if point.meaning or point.frame or unit is None or unit.dimension != dimension:
            continue
        if point.is_number and not is_chosen(point.spec):
            yield point


def _is_live(point: InferredDatapoint, found: Mapping[str, InferredDatapoint]) -> bool:
    """Whether it is a grid's voltage, of a device that measures a current or a power, too."""
    beside = {"current", "active_power"} & found.keys()
    return bool(beside) and _LIVE_V[0] <= (point.value or 0) <= _LIVE_V[1]


def _is_beside_a_voltage(_draft: InferredDatapoint, found: Mapping[str, InferredDatapoint]) -> bool:
    voltage = found.get("voltage")
    return voltage is not None and _LIVE_V[0] <= (voltage.value or 0) <= _LIVE_V[1]


def _is_allowed(point: InferredDatapoint, found: Mapping[str, InferredDatapoint]) -> bool:
    """Return whether the voltage is live and, with the current, allows this power."""
    if not _is_beside_a_voltage(point, found):
        return False
    current = found.get("current")
    if current is None or current.value is None:
        return True
    return allows((found["voltage"].value or 0) * current.value, point.value or 0)


def _is_below_zero_too(point: InferredDatapoint, found: Mapping[str, InferredDatapoint]) -> bool:
    """Recognise a thermometer, whose lowest is below zero, of a device with a live voltage."""
    return (point.spec.lowest or 0) < 0 and _is_beside_a_voltage(point, found)


_PROOFS: Mapping[str, Callable[[InferredDatapoint, Mapping[str, InferredDatapoint]], bool]] = {
    "voltage": _is_live,
    "current": _is_beside_a_voltage,
    "active_power": _is_allowed,
    "temperature": _is_below_zero_too,
}
