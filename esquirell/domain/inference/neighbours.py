"""Derives meanings from the other datapoints of a device."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import Hint, unpack
from esquirell.domain.inference.inferred import InferredDatapoint, by_key
from esquirell.domain.inference.specification import Specified
from esquirell.domain.inference.words import place_of, words_of
from esquirell.domain.plausibility import allows, is_excessive
from esquirell.domain.profile import INVERTERS
from esquirell.domain.quantity import PHASES

_TOTALS = {"total", "all"}
_BOTH_WAYS = {"backward", "reverse", "forward"}
_MOST_W = 30_000
# Micro inverters have up to four panels.
_MICRO, _MOST_MICRO_W = "znnbq", 5000
_LEAK_NEAR = 0.03
_IS_FACTOR = "it is the power factor: it equals power / (voltage x current)"
# A leakage of hundredths of an ampere and more trips a breaker: no device counts it in these.
_COARSE = 100
_MADE_OF = ("voltage", "current", "active_power")
_SUM_NEAR = 0.02
# Datapoints of one answer are of different moments, and small loads change much.
_SUM_ABOUT = 0.2
_LEAST_W = 100


def settle(points: Sequence[InferredDatapoint], answer: Mapping[str, Any]) -> None:
    """Settle what a code leaves open: channels, shared voltages, directions, sums."""
    _first_channel(points)
    _first_phase(points)
    _lone_channel(points)
    _shared_voltage(points)
    _both_ways(points)
    _directions(points)
    _factor_in_leakage(points, answer)


def _first_channel(points: Sequence[InferredDatapoint]) -> None:
    """Assign the power factor next to channel b's to channel a: PJ1103, which has two."""
    found = by_key(points)
    own, other, first = (found.get(f"power_factor{suffix}") for suffix in ("", "_b", "_a"))
    if not own or not own.meaning or not other or first:
        return
    two = "active_power_a" in found and not any(key.endswith("_c") for key in found)
    if two and other.spec.code == f"{own.spec.code}_b":
        own.meaning = replace(own.meaning, suffix="a")


def _first_phase(points: Sequence[InferredDatapoint]) -> None:
    """Assign the only unnamed voltage and current next to those of phase b to phase a.

    Heat pumps name `cur_current`, `b_cur` and `c_cur`; those of one phase send the first alone.
    """
    found = by_key(points)
    for quantity in ("voltage", "current"):
        own, other = found.get(quantity), found.get(f"{quantity}_b")
        if not own or not own.meaning or not other or other.raw is None:
            continue
        if f"{quantity}_a" not in found and not _TOTALS & set(words_of(own.spec.code)):
            own.meaning = replace(own.meaning, suffix="a")


def _lone_channel(points: Sequence[InferredDatapoint]) -> None:
    """Drop a number 1 next to the device's own value if there is no 2: `power_total1` of KWS-306.

    It is the same quantity once more, such as one that can be reset, and not that of a channel.
    """
    found = by_key(points)
    for own in _MADE_OF:
        if own in found and f"{own}_1" in found and f"{own}_2" not in found:
            said = f"{found[own].spec.code} is the device's, and there is no channel 2"
            found[f"{own}_1"].drop(said)


def _shared_voltage(points: Sequence[InferredDatapoint]) -> None:
    """Assign the only voltage of two channels to the device: they share it."""
    found = by_key(points)
    only = found.get("voltage_a")
    two = {"active_power_a", "active_power_b", "current_a", "current_b"} <= found.keys()
    if only and only.meaning and two and "voltage_b" not in found and "voltage" not in found:
        only.meaning = replace(only.meaning, suffix="")


def _both_ways(points: Sequence[InferredDatapoint]) -> None:
    """Drop `total_energy` next to counters of both directions: it is their sum, not an import."""
    tokens = [set(words_of(point.spec.code)) for point in points]
    if any("energy" in one and one & _BOTH_WAYS for one in tokens):
        for point in points:
            if point.spec.code.lower() == "total_energy":
                point.meaning = None


def _directions(points: Sequence[InferredDatapoint]) -> None:
    """Let a direction set the sign of a magnitude; signed values keep theirs."""
    for beside in points:
        if not is_direction(beside.spec):
            continue
        suffix = next(filter(None, map(place_of, words_of(beside.spec.code))), "")
        for point in points:
            if _goes_by(point, suffix):
                point.direction = beside.spec.name


def is_direction(spec: Specified) -> bool:
    """Whether a datapoint says in which way the energy of another one flows."""
    return "direction" in words_of(spec.code)


def _goes_by(point: InferredDatapoint, suffix: str) -> bool:
    if point.frame:
        return point.suffix == (suffix or "a")
    key = f"active_power_{suffix}" if suffix else "active_power"
    return point.key == key and (point.spec.lowest or 0) >= 0


def _factor_in_leakage(points: Sequence[InferredDatapoint], answer: Mapping[str, Any]) -> None:
    """Distinguish SPM01's and SPM02's power factor, P / (V x I), from others' leakage current.

    Until an answer proves it one of both, it is left open. Steps of ten milliamperes, which no
    leakage has, stay raw; finer ones are published as what they are called.
    """
    found = by_key(points)
    leakage = found.get("leakage_current")
    if leakage is None or leakage.meaning is None or "power_factor" in found:
        return
    is_coarse = leakage.divisor <= _COARSE
    factor = _factor(found) or _factor_of_frames(points, answer)
    if is_coarse:
        factor = factor or _factor_of_phases(found)
    raw = leakage.raw or 0
    is_near = factor is not None and abs(raw / 100 - factor) < _LEAK_NEAR
    if raw and is_near:
        leakage.meaning = replace(leakage.meaning, quantity="power_factor")
        leakage.divisor = 100
        leakage.trust, leakage.note = "sure", _IS_FACTOR
    elif is_coarse:
        leakage.leave_out("it may be the power factor: no answer has shown what it is")
    elif leakage.trust == "sure" and (factor is None or is_near) and raw <= 100:  # noqa: PLR2004
        leakage.trust = "likely"


def inverter(points: Sequence[InferredDatapoint], category: str, answer: Mapping[str, Any]) -> None:
    """Correct micro inverters whose total is in mW, described as kW with three decimals."""
    panels = any(
        (one.suffix or (one.key or "").removeprefix("active_power_")).startswith("pv")
        for one in points
    )
    if category not in INVERTERS and not panels:
        return
    total = by_key(points).get("active_power")
    if total is None or not total.raw or total.spec.code != "power_total" or total.divisor != 1:
        return
    beside, most = _beside(points, answer), _MOST_MICRO_W if category == _MICRO else _MOST_W
    if not allows(beside, total.raw / 2) if beside else total.raw > most:
        total.correct(1000, f"{total.raw} W is more than it yields: the device counts milliwatts")
    elif not beside and _counts_whole_degrees(points):
        total.correct(1000, "inverters with this thermometer count milliwatts")
    elif not beside:
        total.doubt("the maker says W, but some micro inverters count milliwatts")


def _counts_whole_degrees(points: Sequence[InferredDatapoint]) -> bool:
    """Whether tenths of a degree are described but whole ones sent, as by WVC and Soria.

    All three known such devices count milliwatts; GTB, which counts watts, sends tenths.
    """
    return any(
        point.key == "temperature" and point.spec.scale == 1 and point.divisor == 1
        for point in points
    )


def total_of_phases(points: Sequence[InferredDatapoint], answer: Mapping[str, Any]) -> None:
    """Correct a total that counts tenths of a watt; leave it out if no phase allows it.

    The phases of a packed frame have a voltage and a current to compare with. A load may change
    between two samples, but no total is far above all phases together.
    """
    totals = [one for one in points if one.key == "active_power" and one.value]
    phases = [one for one in _frames(points, answer, inverter=False) if one.get("voltage")]
    apparent, watts = (sum(map(abs, map(of, phases))) for of in (_apparent, _watts))
    for total in totals if phases else ():
        value = abs(total.value or 0)
        if not is_excessive({"voltage": apparent, "current": 1, "active_power": value}):
            continue
        said = f"{value:g} W is more than the {apparent:.0f} VA of its phases"
        if abs(value / 10 - watts) <= _SUM_NEAR * watts:
            total.correct(10, f"{said}: the device counts tenths of a watt")
        else:
            total.leave_out(said)


def choose_total(points: Sequence[InferredDatapoint], answer: Mapping[str, Any]) -> None:
    """Drop the totals of power that the phases don't add up to, if one is their sum.

    Chargers of three phases have `power_total` and `sigle_phase_power`, which is that of one phase
    or stays zero.
    """
    totals = [one for one in points if one.key == "active_power" and one.raw is not None]
    phases = [one for one in _frames(points, answer, inverter=False) if one.get("voltage")]
    watts = sum(map(_watts, phases))
    near = [one for one in totals if abs((one.value or 0) - watts) <= _SUM_ABOUT * abs(watts)]
    for one in totals if near and abs(watts) >= _LEAST_W else ():
        if one not in near:
            one.drop(f"{near[0].spec.code} is the power of the device")


def _apparent(fields: Mapping[str, float]) -> float:
    return fields.get("voltage", 0.0) * fields.get("current", 0.0)


def _watts(fields: Mapping[str, float]) -> float:
    return fields.get("active_power", 0.0)


def _beside(points: Sequence[InferredDatapoint], answer: Mapping[str, Any]) -> float:
    """Return the largest power (W) of the other datapoints."""
    found = by_key(points)
    powers = [
        found[key].value or 0 for key in ("active_power_ac", "active_power_pv") if key in found
    ]
    powers += [fields.get("active_power", 0) for fields in _frames(points, answer, inverter=True)]
    return max(powers, default=0)


def _factor(found: Mapping[str, InferredDatapoint]) -> float | None:
    """Return P / (V x I) of a single-phase device, if all three were sent."""
    for suffix in ("", "_a"):
        if factor := _ratio(_fields(found, suffix)):
            return factor if not suffix or "voltage_b" not in found else None
    return None


def _factor_of_phases(found: Mapping[str, InferredDatapoint]) -> float | None:
    """Return P / (V x I) of all phases together, if all three were sent of each."""
    phases = [_fields(found, f"_{one}") for one in PHASES if f"voltage_{one}" in found]
    if not phases or any(len(phase) < len(_MADE_OF) for phase in phases):
        return None
    apparent, watts = (sum(map(of, phases)) for of in (_apparent, _watts))
    return _ratio({"voltage": 1, "current": apparent, "active_power": watts})


def _fields(found: Mapping[str, InferredDatapoint], suffix: str) -> Mapping[str, float]:
    keys = {name: f"{name}{suffix}" for name in _MADE_OF}
    return {name: found[key].value or 0 for name, key in keys.items() if key in found}


def _factor_of_frames(
    points: Sequence[InferredDatapoint], answer: Mapping[str, Any]
) -> float | None:
    """Return P / (V x I) of the only phase with a frame."""
    frames = [fields for fields in _frames(points, answer, inverter=False) if any(fields.values())]
    return _ratio(frames[0]) if len(frames) == 1 else None


def _ratio(fields: Mapping[str, float]) -> float | None:
    apparent = fields.get("voltage", 0) * fields.get("current", 0)
    power = abs(fields.get("active_power", 0))
    return power / apparent if apparent and power else None


def _frames(
    points: Sequence[InferredDatapoint], answer: Mapping[str, Any], *, inverter: bool
) -> Iterator[Mapping[str, float]]:
    """Unpack the frames of an answer that can be unpacked."""
    for point in points:
        raw = answer.get(point.spec.name, answer.get(point.spec.code))
        if not point.frame:
            continue
        with suppress(DecodeError):
            yield unpack(point.frame, raw, Hint(point.spec.code, inverter)).fields
