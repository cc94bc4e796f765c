"""The divisor from the maker's specification, or the usual one if there is none."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from esquirell.domain.inference.inferred import InferredDatapoint, by_key
from esquirell.domain.inference.meaning import LEAST_ROOM_KWH, Meaning, is_chosen, room
from esquirell.domain.inference.specification import Specified
from esquirell.domain.inference.units import Dimension, Unit, unit_of
from esquirell.domain.plausibility import allows

_DIMENSIONS: Mapping[str, tuple[Dimension, ...]] = {
    "voltage": ("voltage",),
    "current": ("current",),
    "leakage_current": ("current",),
    "active_power": ("power",),
    "reactive_power": ("reactive", "power"),
    "apparent_power": ("apparent", "power"),
    "frequency": ("frequency",),
    "temperature": ("temperature", "energy"),  # the sign of degrees is also that of kWh
    "power_factor": ("share",),
    "state_of_charge": ("share",),
}
# The most common divisor of each quantity: counted over 10,000 product schemas.
_USUAL: Mapping[str, float] = {
    "voltage": 10,
    "current": 1000,
    "leakage_current": 1000,
    "active_power": 10,
    "power_factor": 100,
    "frequency": 100,
    "temperature": 1,
    "energy_import": 100,
    "energy_export": 100,
}
_USUAL_INCREMENT = 1000
_USUAL_BY_CODE: Mapping[str, float] = {
    "power_total": 1,
    "active_power": 1,
    "total_energy1": 1000,
    "total_energy2": 1000,
    "all_energy": 1000,
}
_LIVE_V = (80, 300)
_QUANTITIES: Mapping[Dimension, str] = {
    "voltage": "voltage",
    "current": "current",
    "power": "active_power",
    "temperature": "temperature",
}


def scale(point: InferredDatapoint) -> None:
    """Set the divisor of a measuring datapoint, with a doubt if it is uncertain."""
    unit = unit_of(point.spec.unit)
    if point.meaning and not point.meaning.sure:
        point.doubt("only one known product has it: compare it with the meter's display")
    if point.spec.scale is None:
        _usual(point)
        return
    point.divisor = 10**point.spec.scale / _size(point, unit)
    if not fits_its_unit(point):
        point.doubt(f"the maker's unit {point.spec.unit.strip()} does not fit this quantity")
    elif point.key and point.key.startswith("energy"):
        _doubt_counter(point, unit)


def increments(spec: Specified) -> float:
    """Return the divisor of increments: no device counts thousandths of a watt-hour."""
    if spec.scale is None:
        return _USUAL_INCREMENT
    unit = unit_of(spec.unit)
    in_wh = unit is not None and unit.dimension == "energy" and spec.scale == 0
    return float(10**spec.scale / (unit.size if unit is not None and in_wh else 1))


def _doubt_counter(point: InferredDatapoint, unit: Unit | None) -> None:
    """Leave out a total that would overflow within months: it is daily, or its unit is wrong."""
    holds = room(point.spec)
    lacks_room = holds is not None and holds < LEAST_ROOM_KWH and point.spec.report != "minux"
    if lacks_room:
        point.leave_out(f"its maximum of {holds:g} kWh is too small for a total")
    elif unit is not None and unit.size < 1:
        point.doubt("the maker says Wh, where others count kWh")


def _size(point: InferredDatapoint, unit: Unit | None) -> float:
    """Return the size of the maker's unit in canonical units."""
    if unit is not None and _fits(point, unit):
        return unit.size / 100 if point.quantity == "power_factor" else unit.size
    in_milli = "current" in point.quantity and not point.spec.scale
    return 1 / 1000 if in_milli else 1


def fits_its_unit(point: InferredDatapoint) -> bool:
    """Whether a datapoint is described without a unit, or with one of its quantity."""
    unit = unit_of(point.spec.unit)
    return unit is None or _fits(point, unit)


def _fits(point: InferredDatapoint, unit: Unit) -> bool:
    return unit.dimension in _DIMENSIONS.get(point.quantity, ("energy",))


def _usual(point: InferredDatapoint) -> None:
    """Use the usual scale if the maker specifies none, with a doubt."""
    point.divisor = _USUAL_BY_CODE.get(point.spec.code) or _USUAL.get(point.quantity, 1)
    point.doubt("the maker gives no scale: the usual one is assumed")
    if not fits_its_unit(point):
        point.doubt(f"the maker's unit {point.spec.unit.strip()} does not fit this quantity")


def adopt(points: Sequence[InferredDatapoint]) -> None:
    """Assign a meaning to unknown codes by their unit: a live voltage, and what fits it."""
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
    """Whether it is a grid voltage on a device that measures a current or a power, too."""
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
    """Recognise a thermometer by a minimum below zero, on a device with a live voltage."""
    return (point.spec.lowest or 0) < 0 and _is_beside_a_voltage(point, found)


_PROOFS: Mapping[str, Callable[[InferredDatapoint, Mapping[str, InferredDatapoint]], bool]] = {
    "voltage": _is_live,
    "current": _is_beside_a_voltage,
    "active_power": _is_allowed,
    "temperature": _is_below_zero_too,
}
