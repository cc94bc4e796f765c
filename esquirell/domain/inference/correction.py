"""What the maker's specification says wrong, told by what the device answers.

Corrected is only what leaves no doubt: a value that can't be, of which one power of ten makes one
that must be, or which agrees with its neighbours. Everything else is kept and doubted.
"""

from collections.abc import Mapping, Sequence

from esquirell.domain.inference.draft import Draft, by_key
from esquirell.domain.plausibility import NO_GRID, allows

_GRID_V = (85, 270)
_LIVE_V = (80, 500)
_GRID_HZ = (45, 65)
_HOT_C = 110
_PLUG_A = 500
# A plug that counts up to 20 kW or more counts tenths of a watt.
_DECIWATTS = 20_000
_DECIVOLTS = 1000
_NARROW_C = 30
_WARM_C = 60
_HOTTEST_C = 200
_NEAR = 0.15
_MOST_W = 100_000
# Hardly a load has a smaller power factor.
_LEAST_FACTOR = 0.12
_ENOUGH_W = 20


def correct(drafts: Sequence[Draft]) -> None:
    """Correct the divisors of all drafts of a device, the independent quantities first."""
    found = by_key(drafts)
    for key, draft in found.items():
        if key.startswith("voltage"):
            _voltage(draft)
        elif key.startswith("frequency"):
            _into(draft, _GRID_HZ, "Hz")
        elif key.startswith("power_factor"):
            _factor(draft)
        elif key.startswith("temperature"):
            _temperature(draft)
    for key in found:
        if key == "current" or key.startswith("current_"):
            _current(found, key.removeprefix("current"))
    for key in found:
        if key.startswith("active_power"):
            _power(found, key.removeprefix("active_power"))
            _apparent_power(found, key.removeprefix("active_power"))
    _energies(found)


def _voltage(draft: Draft) -> None:
    """Deci-volts under scale 0, of the old plugs; and what is no voltage of a grid."""
    if draft.meaning and draft.meaning.suffix.startswith(NO_GRID):
        return
    low, high = _LIVE_V
    raw = draft.raw or 0
    if draft.spec.scale == 0 and draft.divisor == 1 and (draft.spec.highest or 0) >= _DECIVOLTS:
        if raw == 0:
            draft.divisor, draft.trust = 10, "likely"
        elif not low <= raw <= high and low <= raw / 10 <= high:
            draft.correct(10, f"{raw} V can't be: the device counts tenths of a volt")
            return
    value = raw / draft.divisor
    if 0 < value < low:
        draft.doubt(f"{value:g} V is unusual for a grid, it is published as it is")
    elif value > high:
        _into(draft, _GRID_V, "V")


def _into(draft: Draft, range_: tuple[float, float], unit: str) -> None:
    """Shift the decimal point so that a value comes into its range, if one shift alone does."""
    value = draft.value
    if not value or range_[0] <= value <= range_[1]:
        return
    fitting = [ten for ten in (10, 100, 1000, 0.1, 0.01) if range_[0] <= value / ten <= range_[1]]
    if len(fitting) == 1:
        draft.correct(fitting[0], f"{value:g} {unit} can't be: the maker's scale is wrong")
    else:
        draft.doubt(f"{value:g} {unit} is unusual for a grid, it is published as it is")


def _factor(draft: Draft) -> None:
    value = abs(draft.value or 0)
    fitting = [ten for ten in (10, 100, 1000) if value > 1 and 0.1 < value / ten <= 1]  # noqa: PLR2004
    if fitting:
        draft.correct(fitting[0], f"a power factor of {value:g} can't be")


def _temperature(draft: Draft) -> None:
    """Drop the decimal of a device whose highest temperature would be 15 °C."""
    highest = draft.spec.highest
    narrow = highest and draft.divisor > 1 and highest / draft.divisor < _NARROW_C
    if highest and narrow and _WARM_C <= highest <= _HOTTEST_C:
        draft.correct(
            1 / draft.divisor,
            f"by the maker's scale {highest / draft.divisor:g} °C would be the highest: "
            "it is taken without decimals",
        )
    elif draft.value and draft.value > _HOT_C and draft.value / 10 < _HOT_C:
        draft.correct(10, f"{draft.value:g} °C can't be: the device counts tenths")


def _current(found: Mapping[str, Draft], suffix: str) -> None:
    """Milliamperes under "A", and a scale that power and power factor contradict."""
    draft = found[f"current{suffix}"]
    if not draft.value:
        return
    apparent = _volts(found, suffix) * draft.value
    power = abs(_value(found, f"active_power{suffix}"))
    if draft.spec.scale == 0 and draft.divisor == 1 and _is_milli(draft.value, apparent, power):
        draft.correct(1000, f"{draft.value:g} A can't be: the device counts milliamperes")
        return
    factor = abs(_value(found, f"power_factor{suffix}")) or (1 if draft.spec.scale == 2 else 0)  # noqa: PLR2004
    if power > _ENOUGH_W and abs(apparent * factor / power / 10 - 1) < _NEAR:
        draft.correct(10, "voltage and power agree on a tenth of this current")


def _is_milli(amperes: float, apparent: float, power: float) -> bool:
    if amperes > _PLUG_A:
        return True
    return bool(power) and not allows(power, apparent / 10) and allows(apparent / 1000, power)


def _power(found: Mapping[str, Draft], suffix: str) -> None:
    """Deci-watts under scale 0, told by voltage x current, else by their company."""
    draft = found[f"active_power{suffix}"]
    apparent = _volts(found, suffix) * abs(_value(found, f"current{suffix}"))
    alone = not any(key.startswith("current_") for key in found)
    if alone and abs(draft.value or 0) > _MOST_W and not allows(apparent, draft.value or 0):
        draft.leave_out(f"{draft.value:g} W are more than a house has: another scale is meant")
    elif draft.spec.scale == 0 and draft.divisor == 1 and draft.spec.code.startswith("cur_power"):
        _whole_watts(found, suffix, draft, apparent)


def _whole_watts(found: Mapping[str, Draft], suffix: str, draft: Draft, apparent: float) -> None:
    raw = draft.raw or 0
    voltage = found.get(f"voltage{suffix}")
    alike = voltage is not None and voltage.spec.scale == 0 and voltage.divisor != 1
    if raw and apparent and not allows(apparent, raw) and allows(apparent, raw / 10):
        draft.correct(10, f"{raw} W is more than voltage x current: the device counts tenths")
    elif alike and _agrees(apparent, raw) and raw / 10 < _LEAST_FACTOR * apparent:
        draft.divisor = 10
        draft.leave_out("the device counts tenths of a volt, and its current fits whole watts")
    elif alike:
        draft.correct(10, "the device counts tenths of a watt, as it does of a volt")
    elif (draft.spec.highest or _DECIWATTS) >= _DECIWATTS and not _agrees(apparent, raw):
        _presume(draft, apparent)


def _presume(draft: Draft, apparent: float) -> None:
    """Presume tenths of a watt, as most devices of this kind count, if the load is not known."""
    if apparent > _ENOUGH_W and allows(apparent, draft.raw or 0):
        draft.doubt("the maker says W, many such devices count tenths: compare with its display")
    else:
        draft.divisor = 10
        draft.doubt("the maker says W, most such devices count tenths of a watt, as is assumed")


def _agrees(apparent: float, power: float) -> bool:
    """Return whether a power is near enough to V x I to be taken as it is."""
    return power > apparent / 3 > 0 and allows(apparent, power)


def _apparent_power(found: Mapping[str, Draft], suffix: str) -> None:
    """Leave out an apparent power that is less than the active one: it is something else."""
    draft = found.get(f"apparent_power{suffix}")
    if draft is None or draft.raw is None:
        return
    apparent, watts = draft.value or 0, _value(found, f"active_power{suffix}")
    if not allows(apparent, watts):
        draft.leave_out(f"{apparent:g} VA is less than the active power, {abs(watts):g} W")


def _energies(found: Mapping[str, Draft]) -> None:
    """Counters of phases that are ten times their total: the total's scale is the standard one."""
    for quantity in ("energy_import", "energy_export"):
        phases = [found[key] for key in (f"{quantity}_{name}" for name in "abc") if key in found]
        total, parts = found.get(quantity), sum(one.value or 0 for one in phases)
        if total is None or not total.value or total.value < 1 or len(phases) < 2:  # noqa: PLR2004
            continue
        ratio = parts / total.value
        if abs(ratio / 10 - 1) < 0.01:  # noqa: PLR2004
            for one in phases:
                one.correct(10, "the phases add up to ten times the total: they count more finely")


def _volts(found: Mapping[str, Draft], suffix: str) -> float:
    return _value(found, f"voltage{suffix}") or _value(found, "voltage")


def _value(found: Mapping[str, Draft], key: str) -> float:
    draft = found.get(key)
    return (draft.value if draft else None) or 0
