"""The divisor that the maker's specification gives, and the usual one where it gives none."""

from collections.abc import Mapping

from esquirell.domain.inference.inferred import InferredDatapoint
from esquirell.domain.inference.meaning import LEAST_ROOM_KWH, room
from esquirell.domain.inference.specification import Specified
from esquirell.domain.inference.units import Dimension, Unit, unit_of

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
# What most products of a quantity use: counted over 10,000 product schemas.
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


def scale(point: InferredDatapoint) -> None:
    """Set the divisor of a datapoint that measures, and how sure it is."""
    unit = unit_of(point.spec.unit)
    if point.meaning and not point.meaning.sure:
        point.doubt("only one product is known to have it, compare it with the meter's display")
    if point.spec.scale is None:
        _usual(point, unit)
        return
    point.divisor = 10**point.spec.scale / _size(point, unit)
    if unit is not None and not _fits(point, unit):
        point.doubt(f"the maker's unit {point.spec.unit.strip()} is none of this quantity")
    elif point.key and point.key.startswith("energy"):
        _doubt_counter(point, unit)


def increments(spec: Specified) -> float:
    """Return the divisor of increments: nobody counts thousandths of a watt-hour."""
    if spec.scale is None:
        return _USUAL_INCREMENT
    unit = unit_of(spec.unit)
    in_wh = unit is not None and unit.dimension == "energy" and spec.scale == 0
    return float(10**spec.scale / (unit.size if unit is not None and in_wh else 1))


def _doubt_counter(point: InferredDatapoint, unit: Unit | None) -> None:
    """Leave out a total that would be full within months: it is of a day, or its unit is wrong."""
    holds = room(point.spec)
    lacks_room = holds is not None and holds < LEAST_ROOM_KWH and point.spec.report != "minux"
    if lacks_room and point.raw:
        point.leave_out(f"the maker gives it room for {holds:g} kWh, which is not that of a total")
    elif unit is not None and unit.size < 1:
        point.doubt("the maker gives it in Wh, where others count kWh")


def _size(point: InferredDatapoint, unit: Unit | None) -> float:
    """Return how many canonical units one of the maker's is."""
    if unit is not None and _fits(point, unit):
        return (
            unit.size / 100
            if point.spec.unit.strip() == "%" and _is_ratio(point)
            else _own(point, unit)
        )
    in_milli = point.key is not None and "current" in point.key and not point.spec.scale
    return 1 / 1000 if in_milli else 1


def _own(point: InferredDatapoint, unit: Unit) -> float:
    return 1 if unit.dimension == "share" or _is_temperature(point) else unit.size


def _is_ratio(point: InferredDatapoint) -> bool:
    return point.meaning is not None and point.meaning.quantity == "power_factor"


def _is_temperature(point: InferredDatapoint) -> bool:
    return point.meaning is not None and point.meaning.quantity == "temperature"


def _fits(point: InferredDatapoint, unit: Unit) -> bool:
    quantity = point.meaning.quantity if point.meaning else ""
    return unit.dimension in _DIMENSIONS.get(quantity, ("energy",))


def _usual(point: InferredDatapoint, unit: Unit | None) -> None:
    """Nothing was said of the scale: take the usual one and say so."""
    quantity = point.meaning.quantity if point.meaning else ""
    point.divisor = _USUAL_BY_CODE.get(point.spec.code) or _USUAL.get(quantity, 1)
    point.doubt("the maker gives no scale, the usual one is taken")
    if unit is not None and not _fits(point, unit):
        point.doubt(f"the maker's unit {point.spec.unit.strip()} is none of this quantity")
