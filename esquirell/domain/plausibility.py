"""Checks whether the values of one reading can be true together."""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from esquirell.domain.doubts import TENS, Scale, Verdict, fine, same, scaled, ten_times
from esquirell.domain.quantity import PHASES, split_key, with_suffix

Values = Mapping[str, float]

# Places where an inverter or a storage has another voltage than the grid's.
NO_GRID = ("pv", "battery", "dc", "input", "output", "inverter")
# Values are not quite simultaneous, and small meters round: P may exceed V x I by this much.
_TOLERANCE = 1.3
_NOISE_W = 10
# Above this ratio the fields of a frame do not belong together.
_ABSURD = 3
_ABSURD_W = 500
_LOADED_VA = 500
# The current may be older than the power, but no house switches on more at once than a 22 kW
# wallbox.
_MOST_OF_STALE = 5
_LARGEST_STEP_W = 25_000
_NEAR = 0.01
# A meter mostly sends the same keys: what follows from these alone is cached.
_SHAPES = 256


def is_excessive(fields: Mapping[str, float]) -> bool:
    """Return whether the power of a frame is far above its voltage x current."""
    if not {"voltage", "current", "active_power"} <= fields.keys():
        return False
    most = _ABSURD * apparent_of(fields["voltage"], fields["current"]) + _ABSURD_W
    return abs(fields["active_power"]) > most


def apparent_of(volts: float, amperes: float) -> float:
    """Return V x I in VA; times three phases if the voltage is the one between two of them.

    Three-phase chargers send 400 V and the current of one phase (tuya-local #6197).
    """
    return abs(volts * amperes) * (math.sqrt(3) if abs(volts) > PHASE_VOLTS[1] else 1)


def is_between_phases(volts: float) -> bool:
    """Whether this is a grid's voltage between two phases."""
    return _BETWEEN_VOLTS[0] <= volts <= _BETWEEN_VOLTS[1]


def allows(apparent: float, power: float) -> bool:
    """Whether `apparent` (V x I, in VA) allows this power in W."""
    return abs(power) <= _TOLERANCE * abs(apparent) + _NOISE_W


def is_hollow(values: Values) -> bool:
    """Whether the zeros were not measured: there is a power, but no voltage anywhere."""
    voltages = _voltages(tuple(values))
    if not voltages or any(values[key] for key in voltages):
        return False
    return any(value for key, value in values.items() if key.startswith("active_power"))


@lru_cache(_SHAPES)
def _voltages(keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if key.startswith("voltage")]


def contradictions(values: Values) -> Iterator[str]:
    """Return a sentence for each power that its own voltage and current contradict."""
    for keys in _powered(tuple(values)):
        power, current = values[keys.power], values.get(keys.current)
        voltage = values.get(keys.voltage, values.get("voltage"))
        if not voltage or current is None:
            continue
        apparent = apparent_of(voltage, current)
        if not allows(apparent, power):
            yield f"{keys.power}: {power:g} W is more than {voltage:g} V and {current:g} A allow"
        elif _is_tenth(apparent, power) and keys.factor not in values:
            yield f"{keys.power}: {power:g} W is but a tenth of {voltage:g} V x {current:g} A"


def overflows(values: Values) -> Iterator[str]:
    """Yield the powers that no load explains, however old the currents beside them are.

    Owon's clamps send 38,606 W beside 6.7 A when energy is exported (zigbee2mqtt #18603, #17153): a
    negative number with too few bits, from which the amount can't be recovered.
    """
    for keys in _powered(tuple(values)):
        apparent = _va(values, keys.voltage, keys.current)
        if apparent is None and keys.power == "active_power":
            every = [_va(values, f"voltage_{one}", f"current_{one}") for one in PHASES]
            apparent = sum(one or 0.0 for one in every) if None not in every else None
        most = _MOST_OF_STALE * (apparent or 0.0) + _LARGEST_STEP_W
        if apparent is not None and abs(values[keys.power]) > most:
            yield keys.power


def _va(values: Values, voltage: str, current: str) -> float | None:
    volts, amperes = values.get(voltage, values.get("voltage")), values.get(current)
    return apparent_of(volts, amperes) if volts and amperes is not None else None


def _is_tenth(apparent: float, power: float) -> bool:
    """Whether a power is a tenth of V x I: a wrong scale, as no real load is that poor."""
    return abs(apparent) >= _LOADED_VA and abs(abs(power / apparent) - 0.1) < _NEAR


# The range of all grids; a total may be the voltage between two phases.
PHASE_VOLTS = (80.0, 300.0)
TOTAL_VOLTS = (80.0, 500.0)
# Between two phases at 400 V, with the grid's tolerance: chargers report it as a phase's voltage.
# With a broken neutral conductor a phase may have as much, but then others have too little.
_BETWEEN_VOLTS = (360.0, 440.0)
# 0 means "not measured", or a phase that is not connected.
_MAY_BE_ZERO = ("voltage", "frequency")
_RESCALED = ("voltage", "frequency")

# Below these, rounding and noise dominate.
_LEAST_AMPS = 0.1
_LEAST_VA = 25.0
_LEAST_WATTS = 50.0
_LEAST_FACTOR = 0.2
_LEAST_KWH = 1.0

# Values of one answer were measured at slightly different moments.
_MOST_OF_APPARENT = 1.5
_SIGN_WITHIN = 0.15
_SUM_WITHIN = 0.3

_SUMMED = {
    "active_power": _LEAST_WATTS,
    "current": 1.0,
    "energy_import": _LEAST_KWH,
    "energy_export": _LEAST_KWH,
}


def ranges(values: Values) -> Iterator[Verdict]:
    """Check each value by itself."""
    for key, (least, greatest), may_be_zero, is_fine in _ranged(tuple(values)):
        value = values[key]
        if least <= value <= greatest or (is_between_phases(value) and key.startswith("voltage")):
            yield is_fine
        elif value or not may_be_zero:
            yield _out_of_range(key, value, (least, greatest))


@lru_cache(_SHAPES)
def _ranged(keys: tuple[str, ...]) -> list[tuple[str, tuple[float, float], bool, Verdict]]:
    """Return the keys that have a range, with it, whether 0 is no value, and the sentence."""
    return [
        (key, span, split_key(key)[0].key in _MAY_BE_ZERO, fine("range", key))
        for key in keys
        if (span := _span(key)) is not None
    ]


def _span(key: str) -> tuple[float, float] | None:
    quantity, suffix = split_key(key)
    return _volts(suffix) if quantity.key == "voltage" else quantity.usual


def _volts(suffix: str) -> tuple[float, float] | None:
    """Return the range of a voltage; that of an inverter's inputs and batteries is unlimited."""
    if suffix in PHASES:
        return PHASE_VOLTS
    return TOTAL_VOLTS if not suffix or suffix.isdecimal() else None


def _out_of_range(key: str, value: float, span: tuple[float, float]) -> Verdict:
    least, most = span
    fits = [ten for ten in TENS if least <= value / ten <= most]
    if len(fits) == 1 and split_key(key)[0].key in _RESCALED:
        return Verdict("range", key, scaled(key, fits[0]), Scale(key, fits[0]))
    return Verdict("range", key, f"{key} is not between {least:g} and {most:g}, as it has to be")


def powers(values: Values) -> Iterator[Verdict]:
    """Check each power against voltage times current, times the power factor if there is one."""
    for keys in _powered(tuple(values)):
        if values[keys.power] and (apparent := _apparent(values, keys)):
            yield _power(values, keys, apparent)


class _Keys(NamedTuple):
    """The quantity keys of one phase or channel, or of the whole device."""

    power: str
    voltage: str
    current: str
    factor: str
    apparent: str


@lru_cache(_SHAPES)
def _powered(keys: tuple[str, ...]) -> list[_Keys]:
    """Return each power among the keys, with the values to compare it with."""
    suffixes = dict.fromkeys(suffix for _, suffix in map(split_key, keys))
    names = ("active_power", "voltage", "current", "power_factor", "apparent_power")
    found = [_Keys(*(with_suffix(name, suffix) for name in names)) for suffix in suffixes]
    return [group for group in found if group.power in keys]


def _power(values: Values, keys: _Keys, apparent: float) -> Verdict:
    key = keys.power
    power = abs(values[key])
    factor = abs(values.get(keys.factor, 0.0))
    if factor >= _LEAST_FACTOR:
        off = ten_times(power / (apparent * factor))
        return _off(values, keys, apparent, off) if off else fine("power", key)
    if power <= _MOST_OF_APPARENT * apparent:
        return fine("power", key)
    return Verdict("power", key, f"{key} is more than voltage times current: a scale is wrong")


def _apparent(values: Values, keys: _Keys) -> float | None:
    """Multiply voltage and current if both are measured; channels may share one voltage."""
    volts = values.get(keys.voltage, values.get("voltage", 0.0))
    amps = abs(values.get(keys.current, 0.0))
    apparent = apparent_of(volts, amps)
    usable = TOTAL_VOLTS[0] <= volts <= TOTAL_VOLTS[1] and amps >= _LEAST_AMPS
    return apparent if usable and apparent >= _LEAST_VA else None


def _off(values: Values, keys: _Keys, apparent: float, off: float) -> Verdict:
    """Find out by a third value, if there is one, whether power or current is wrong."""
    power, current = keys.power, keys.current
    told = abs(values.get(keys.apparent, 0.0))
    if same(told, apparent) or _fits_total(values, power, off):
        return Verdict("power", power, scaled(power, off), Scale(power, off))
    if same(told, apparent * off):
        return Verdict("power", power, scaled(current, 1 / off), Scale(current, 1 / off))
    sentence = f"{scaled(power, off)} for its voltage, {current} and power factor"
    return Verdict("power", power, f"{sentence}: one of them has a wrong scale")


def _fits_total(values: Values, key: str, divisor: float) -> bool:
    """Whether the phases add up to the total only if this one is divided."""
    phases = _phases(values, "active_power")
    total = values.get("active_power")
    if total is None or key not in phases:
        return False
    others = sum(values[phase] for phase in phases if phase != key)
    within = 0.1 * abs(total) + 5
    fits = abs(others + values[key] / divisor - total) <= within
    return fits and abs(others + values[key] - total) > 3 * within


def sums(values: Values) -> Iterator[Verdict]:
    """Check totals against the sum of their phases."""
    for name, phases in _summed(tuple(values)):
        summed, least = sum([values[phase] for phase in phases]), _SUMMED[name]
        if abs(summed) >= least and abs(values[name]) >= least / 10:
            yield _sum(values, name, phases, summed)


@lru_cache(_SHAPES)
def _summed(keys: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """Return the totals of which all phases are among the keys, with these phases."""
    values = dict.fromkeys(keys, 0.0)
    found = [(name, _phases(values, name)) for name in _SUMMED if name in values]
    return [(name, phases) for name, phases in found if phases]


def _sum(values: Values, name: str, phases: list[str], summed: float) -> Verdict:
    off = ten_times(abs(values[name] / summed))
    if off:
        sentence = f"{scaled(name, off)} for its phases"
        certain = name == "active_power" and _are_sound(values, phases)
        return Verdict("sum", name, sentence, Scale(name, off) if certain else None)
    if name != "active_power":
        return fine("sum", name)
    return _direction(values, name, phases, summed)


def _phases(values: Values, name: str) -> list[str]:
    """Return the keys of all three phases, or none."""
    keys = [f"{name}_{phase}" for phase in PHASES]
    return keys if all(key in values for key in keys) else []


def _are_sound(values: Values, phases: list[str]) -> bool:
    """Whether each phase matches its own voltage and current."""
    sound = {verdict.key for verdict in powers(values) if not verdict.sentence}
    return sound.issuperset(phases)


def _direction(values: Values, name: str, phases: list[str], summed: float) -> Verdict:
    """Compare the signs of the total and its phases, with signed power factors as evidence."""
    if abs(values[name] + summed) > _SIGN_WITHIN * abs(summed):
        return _amount(name, values[name], summed)
    factors = [values.get(phase.replace("active_power", "power_factor"), 0.0) for phase in phases]
    pairs = zip(phases, factors, strict=True)
    certain = summed < 0 and all(values[phase] * factor > 0 for phase, factor in pairs)
    sentence = f"{name} has the wrong sign for its phases"
    return Verdict("sum", name, sentence, Scale(name, -1) if certain else None)


def _amount(name: str, total: float, summed: float) -> Verdict:
    if abs(total - summed) <= max(2 * _LEAST_WATTS, _SUM_WITHIN * abs(summed)):
        return fine("sum", name)
    return Verdict("sum", name, f"{name} is not the sum of its phases")


# Each check gets the values as corrected by those before it.
CHECKS = {"range": ranges, "power": powers, "sum": sums}


def complaints(values: Values) -> Iterator[Verdict]:
    """Return the problems of a single reading; no proof, as its values are not simultaneous."""
    for check in CHECKS.values():
        yield from (verdict for verdict in check(values) if verdict.sentence)


def closest(apparent: float, powers: Iterable[float]) -> int:
    """Return the index of the power closest to `apparent` (V x I, in VA); the first of equals.

    A power of zero fits anything; without a current nothing can be compared, so the first counts.
    """
    every = list(powers)
    if apparent <= 0:
        return 0
    return min(range(len(every)), key=lambda at: _misfit(apparent, abs(every[at])))


def _misfit(apparent: float, power: float) -> float:
    """Measure how far a power is from V x I; slightly above is possible, far above is not."""
    if power <= 0:
        return 0
    ratio = power / apparent
    return ratio if ratio > 1 else 1 / ratio
