"""Corrects mistakes of the maker's specification by the device's answer.

Only what leaves no doubt is corrected: an impossible value that a single power of ten makes
necessary or consistent with its neighbours. Everything else is kept and doubted.
"""

from collections.abc import Mapping, Sequence

from esquirell.domain.inference.inferred import InferredDatapoint, by_key
from esquirell.domain.inference.meaning import room
from esquirell.domain.plausibility import NO_GRID, allows
from esquirell.domain.quantity import PHASES, split_key

_GRID_V = (85, 270)
_LIVE_V = (80, 500)
_GRID_HZ = (45, 65)
_HOT_C = 110
_PLUG_A = 500
# A plug whose range is 20 kW or more counts tenths of a watt.
_DECIWATTS = 20_000
_DECIVOLTS = 1000
_WARM_C = 60
_HOTTEST_C = 200
_NEAR = 0.15
_MOST_W = 100_000
# Hardly any load has a smaller power factor.
_LEAST_FACTOR = 0.12
_ENOUGH_W = 20


def correct(points: Sequence[InferredDatapoint]) -> None:
    """Correct the divisors of all datapoints of a device, independent quantities first."""
    found = by_key(points)
    for key, point in found.items():
        if key.startswith("voltage"):
            _voltage(point)
        elif key.startswith("frequency"):
            _into(point, _GRID_HZ, "Hz")
        elif key.startswith("power_factor"):
            _factor(point)
        elif key.startswith("temperature"):
            _temperature(point)
    dependent = (
        ("current", _current),
        ("active_power", _power),
        ("apparent_power", _apparent_power),
    )
    for quantity, correct_one in dependent:
        for key in found:
            if split_key(key)[0].key == quantity:
                correct_one(found, key.removeprefix(quantity))
    _energies(found)


def _voltage(point: InferredDatapoint) -> None:
    """Old plugs send tenths of a volt under scale 0; other values are no grid voltages."""
    if point.meaning and point.meaning.suffix.startswith(NO_GRID):
        return
    low, high = _LIVE_V
    raw = point.raw or 0
    if point.divisor == 1 and (point.spec.highest or 0) >= _DECIVOLTS:
        if raw == 0:
            point.divisor, point.trust = 10, "likely"
        elif not low <= raw <= high and low <= raw / 10 <= high:
            point.correct(10, f"{raw} V is impossible: the device counts tenths of a volt")
            return
    value = raw / point.divisor
    if 0 < value < low:
        point.doubt(f"{value:g} V is unusual for a grid: it is published unchanged")
    elif value > high:
        _into(point, _GRID_V, "V")


def _into(point: InferredDatapoint, range_: tuple[float, float], unit: str) -> None:
    """Shift the decimal point to bring a value into its range, if only one shift does."""
    value = point.value
    if not value or range_[0] <= value <= range_[1]:
        return
    fitting = [ten for ten in (10, 100, 1000, 0.1, 0.01) if range_[0] <= value / ten <= range_[1]]
    if len(fitting) == 1:
        point.correct(fitting[0], f"{value:g} {unit} is impossible: the maker's scale is wrong")
    else:
        point.doubt(f"{value:g} {unit} is unusual for a grid: it is published unchanged")


def _factor(point: InferredDatapoint) -> None:
    value = abs(point.value or 0)
    fitting = [ten for ten in (10, 100, 1000) if 0.1 < value / ten <= 1]  # noqa: PLR2004
    if fitting:
        point.correct(fitting[0], f"a power factor of {value:g} is impossible")


def _temperature(point: InferredDatapoint) -> None:
    """Drop the decimal of a device whose maximum temperature would be 15 °C."""
    highest = point.spec.highest
    if highest and point.divisor > 1 and _WARM_C <= highest <= _HOTTEST_C:
        point.correct(
            1 / point.divisor,
            f"by the maker's scale {highest / point.divisor:g} °C would be the maximum: "
            "it is taken without decimals",
        )
    elif point.value and point.value > _HOT_C and point.value / 10 < _HOT_C:
        point.correct(10, f"{point.value:g} °C is impossible: the device counts tenths")


def _current(found: Mapping[str, InferredDatapoint], suffix: str) -> None:
    """Correct mA under "A", and a scale that power and power factor contradict."""
    point = found[f"current{suffix}"]
    if not point.value:
        return
    apparent = _volts(found, suffix) * point.value
    power = abs(_value(found, f"active_power{suffix}"))
    if point.divisor == 1 and _is_milli(point.value, apparent, power):
        point.correct(1000, f"{point.value:g} A is impossible: the device counts milliamperes")
        return
    factor = abs(_value(found, f"power_factor{suffix}")) or (1 if point.spec.scale == 2 else 0)  # noqa: PLR2004
    if power > _ENOUGH_W and abs(apparent * factor / power / 10 - 1) < _NEAR:
        point.correct(10, "voltage and power agree on a tenth of this current")


def _is_milli(amperes: float, apparent: float, power: float) -> bool:
    if amperes > _PLUG_A:
        return True
    return bool(power) and not allows(power, apparent / 10) and allows(apparent / 1000, power)


def _power(found: Mapping[str, InferredDatapoint], suffix: str) -> None:
    """Correct tenths of a watt under scale 0, recognised by V x I, else by other datapoints."""
    point = found[f"active_power{suffix}"]
    apparent = _volts(found, suffix) * abs(_value(found, f"current{suffix}"))
    alone = not any(key.startswith("current_") for key in found)
    if alone and abs(point.value or 0) > _MOST_W and not allows(apparent, point.value or 0):
        point.leave_out(f"{point.value:g} W is more than a house has: another scale is meant")
    elif point.spec.scale == 0 and point.divisor == 1 and point.spec.code.startswith("cur_power"):
        _whole_watts(found, suffix, point, apparent)


def _whole_watts(
    found: Mapping[str, InferredDatapoint], suffix: str, point: InferredDatapoint, apparent: float
) -> None:
    raw = point.raw or 0
    parts = sum(_value(found, f"active_power_{phase}") for phase in PHASES)
    if not suffix and parts and abs(raw - parts) <= _NEAR * parts:
        return
    voltage = found.get(f"voltage{suffix}")
    alike = voltage is not None and voltage.spec.scale == 0 and voltage.divisor != 1
    if apparent and not allows(apparent, raw) and allows(apparent, raw / 10):
        point.correct(10, f"{raw} W is more than voltage x current: the device counts tenths")
    elif alike and _agrees(apparent, raw) and raw / 10 < _LEAST_FACTOR * apparent:
        point.divisor = 10
        point.leave_out("the device counts tenths of a volt, and its current fits whole watts")
    elif alike:
        point.correct(10, "the device counts tenths of a watt, as it does of a volt")
    elif (point.spec.highest or _DECIWATTS) >= _DECIWATTS and not _agrees(apparent, raw):
        _presume(point, apparent)


def _presume(point: InferredDatapoint, apparent: float) -> None:
    """Assume tenths of a watt, like most devices of this kind, if the load is unknown."""
    if apparent > _ENOUGH_W and allows(apparent, point.raw or 0):
        point.doubt("the maker says W, but many such devices count tenths: compare its display")
    else:
        point.divisor = 10
        point.doubt("the maker says W, but most such devices count tenths, which is assumed")


def _agrees(apparent: float, power: float) -> bool:
    """Return whether a power is close enough to V x I to be accepted."""
    return power > apparent / 3 > 0 and allows(apparent, power)


def _apparent_power(found: Mapping[str, InferredDatapoint], suffix: str) -> None:
    """Leave out an apparent power that is not V x I, or less than the active power."""
    point = found[f"apparent_power{suffix}"]
    if point.raw is None:
        return
    said, watts = point.value or 0, _value(found, f"active_power{suffix}")
    apparent = _volts(found, suffix) * abs(_value(found, f"current{suffix}"))
    if not allows(said, watts):
        point.leave_out(f"{said:g} VA is less than the active power, {abs(watts):g} W")
    elif apparent and not (allows(apparent, said) and allows(said, apparent)):
        point.leave_out(f"{said:g} VA is not voltage x current, {apparent:.0f} VA")


def _energies(found: Mapping[str, InferredDatapoint]) -> None:
    """Correct counters of phases that are ten times their total, whose scale is the standard."""
    for quantity in ("energy_import", "energy_export"):
        phases = [found[key] for key in (f"{quantity}_{name}" for name in "abc") if key in found]
        total, parts = found.get(quantity), sum(one.value or 0 for one in phases)
        if total is not None and None in (total.raw, *(one.raw for one in phases)):
            _await_sum(total, phases)
        if total is None or not total.value or total.value < 1 or len(phases) < 2:  # noqa: PLR2004
            continue
        ratio = parts / total.value
        if abs(ratio / 10 - 1) < 0.01:  # noqa: PLR2004
            for one in phases:
                one.correct(10, "the phases add up to ten times the total: their unit is smaller")


def _await_sum(total: InferredDatapoint, phases: Sequence[InferredDatapoint]) -> None:
    """Leave out phases that hold more than their total, until their sum shows how they count."""
    most = room(total.spec) or 0
    for one in phases:
        if (room(one.spec) or 0) > most > 0:
            one.leave_out("its maximum is above that of its total: their sum will show its unit")


def _volts(found: Mapping[str, InferredDatapoint], suffix: str) -> float:
    return _value(found, f"voltage{suffix}") or _value(found, "voltage")


def _value(found: Mapping[str, InferredDatapoint], key: str) -> float:
    point = found.get(key)
    return (point.value if point else None) or 0
