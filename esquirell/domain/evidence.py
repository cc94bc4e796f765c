"""Evidence for and against a profile, from the values of one answer.

Devices that are not meters send numbers, too: only physics identifies a meter about which nothing
else is known.
"""

import math
from collections.abc import Iterator, Mapping

from esquirell.domain.plausibility import NO_GRID, allows, apparent_of, is_between_phases
from esquirell.domain.quantity import PHASES, split_key, with_suffix
from esquirell.domain.record import record

Values = Mapping[str, float]

# For one phase, at 100 to 127 V and at 208 to 240 V, with the grids' tolerances.
_LIVE_V = ((90.0, 138.0), (184.0, 265.0))
_USUAL_V = ((105.0, 132.0), (205.0, 255.0))
# For one phase or between two, for keys without a known phase.
_GRID_V = (80.0, 500.0)
# Settings are round numbers; of measured tenths of a volt only one in a hundred is.
_ROUND_V = 10
_GRID_HZ = (45.0, 65.0)
# Cheap meters are off by a percent or two; any three-digit number may look like 45 to 65 Hz.
_USUAL_HZ = ((49.0, 51.0), (59.0, 61.0))
_SIMILAR = 1.15
_LEAST_VA = 8.0
_MOST_IDLE_VA = 25.0
_NOISE_W = 10.0
_LEAST_DIRECT_W = 20.0
_MOST_LEAKING_A = 0.5
_LEAST_OF_PHASE_W = 50.0
# More than the connection of most houses provides.
_MOST_UNPROVED_W = 50_000
_FACTOR_NEAR = 0.05
_LEAST_FACTOR = 0.2
_USUAL_FACTOR = 0.4
_MOST_FACTOR = 1.15
_POOREST_FACTOR = 0.05
_LEAST_LOADED_W = 100.0
_MOST_POOR_VA = 2500.0
# Standby supplies and lamps: less than a fifth of what flows through them is used.
_MOST_SMALL_VA = 100.0
POWERS = ("active_power", "reactive_power", "apparent_power")
_SUMMED = ("energy_import", "energy_export", "active_power")
_LEAST_SUM = {"active_power": 50.0}
_NEAR = 0.02
# The parts of one answer are not of quite the same moment.
_TENFOLD_NEAR = 0.05


@record
class Evidence:
    """The evidence for and against a profile, in sentences; `strength` adds up the proofs.

    Of the refusals, `off_grid` counts the voltages and frequencies that no grid has.
    """

    strength: int = 0
    proofs: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    off_grid: int = 0


def weigh(values: Values) -> Evidence:
    """Weigh the values that a profile decoded from an answer."""
    proofs = [
        *_voltages(values), *_powers(values), *_triangle(values), *_direct(values),
        *_sums(values), *_twice(values), *_frequency(values),
    ]  # fmt: skip
    off_grid = tuple(_off_grid(values))
    return Evidence(
        sum(strength for strength, _ in proofs),
        tuple(sentence for _, sentence in proofs),
        (*off_grid, *_refusals(values)),
        len(off_grid),
    )


_Proof = tuple[int, str]


def is_live(volts: float) -> bool:
    """Return whether a voltage may be a grid's."""
    return any(low <= volts <= high for low, high in _LIVE_V)


def is_usual(volts: float) -> bool:
    """Return whether a voltage is usual for grids, and unusual for batteries."""
    return any(low <= volts <= high for low, high in _USUAL_V)


def _is_round(volts: float) -> bool:
    return volts % _ROUND_V == 0


def _doubts(volts: float) -> int:
    """Return how doubtful a voltage is: a round number, or at the edge of a grid's range."""
    return _is_round(volts) + 2 * (not is_usual(volts) and not is_between_phases(volts))


def _voltages(values: Values) -> Iterator[_Proof]:
    phases = [values.get(f"voltage_{phase}", 0.0) for phase in PHASES]
    similar = max(phases) < _SIMILAR * min(phases)
    if similar and all(map(is_live, phases)) and not all(map(_is_round, phases)):
        yield 3, "three phases have a grid voltage"


def _powers(values: Values) -> Iterator[_Proof]:
    """Compare each power with the voltage and current of its phase, or of all phases."""
    alone = [
        suffix for suffix in _suffixes(values) if with_suffix("active_power", suffix) in values
    ]
    for suffix in alone:
        volts = values.get(with_suffix("voltage", suffix), values.get("voltage", 0.0))
        amperes = values.get(with_suffix("current", suffix))
        if amperes is not None and (is_live(volts) or is_between_phases(volts)):
            yield _power(values, suffix, apparent_of(volts, amperes), doubts=_doubts(volts))
    of_grid = [suffix for suffix in alone if not suffix.startswith(NO_GRID)]
    if of_grid in ([], [""]) and "active_power" in values and "voltage" not in values:
        told = [suffix for suffix in _suffixes(values) if _apparent(values, suffix) is not None]
        if told:
            apparent = sum(_apparent(values, suffix) or 0 for suffix in told)
            doubts = min(_doubts(values[f"voltage_{suffix}"]) for suffix in told)
            yield _power(values, "", apparent, doubts=doubts)


def _suffixes(values: Values) -> list[str]:
    return list(dict.fromkeys(suffix for _, suffix in map(split_key, values)))


def _apparent(values: Values, suffix: str) -> float | None:
    """Return V x I of a live voltage; None if one of them is missing."""
    volts = values.get(with_suffix("voltage", suffix), 0.0)
    beside = "output" if suffix == "ac" else suffix  # an inverter's output to the grid
    amperes = values.get(with_suffix("current", suffix), values.get(f"current_{beside}"))
    told = suffix and amperes is not None and (is_live(volts) or is_between_phases(volts))
    return apparent_of(volts, amperes or 0.0) if told else None


def _power(values: Values, suffix: str, apparent: float, *, doubts: int) -> _Proof:
    """Return what a power proves compared with V x I; `doubts` if the voltage may be a setting."""
    key = with_suffix("active_power", suffix)
    watts = abs(values[key])
    factor = abs(values.get(with_suffix("power_factor", suffix), 0.0))
    near = _FACTOR_NEAR * max(watts, _LEAST_FACTOR * apparent)
    by_factor = factor and abs(apparent * factor - watts) <= near
    if by_factor and apparent >= _LEAST_VA:
        return max(5 - doubts, 0), f"{key} is voltage x current x power factor"
    if apparent >= _LEAST_VA and _LEAST_FACTOR * apparent <= watts and allows(apparent, watts):
        said = f"voltage x current, {apparent:.0f} VA, allows the {watts:g} W of {key}"
        return max(_proved(apparent, watts) - doubts, 0), said
    small = _MOST_IDLE_VA <= apparent <= _MOST_SMALL_VA
    if small and watts >= _POOREST_FACTOR * apparent and allows(apparent, watts):
        said = f"small loads have such a power factor: {watts:g} W of {apparent:.0f} VA ({key})"
        return max(1 - doubts, 0), said
    if apparent < _MOST_IDLE_VA and allows(apparent, watts):
        return max(2 - doubts, 0), f"a grid voltage with hardly any load ({key})"
    return 0, f"{key} has a grid voltage"


def _proved(apparent: float, watts: float) -> int:
    """Return how much V x I proves: a poor factor is rare, and large loads have none.

    A power above V x I was sampled at another moment, or is something else.
    """
    if watts > _MOST_FACTOR * apparent + 1:
        return 1
    if watts >= _USUAL_FACTOR * apparent:
        return 3
    return 2 if apparent <= _MOST_POOR_VA else 1


def is_loaded(values: Values, power: str) -> bool:
    """Return whether a power is that of a load, by the grid's voltage and the current beside it."""
    suffix = split_key(power)[1]
    volts, amperes = (values.get(with_suffix(one, suffix), 0.0) for one in ("voltage", "current"))
    watts, apparent = abs(values.get(power, 0.0)), apparent_of(volts, amperes)
    of_grid = is_live(volts) and not suffix.startswith(NO_GRID)
    return of_grid and _LEAST_VA <= _USUAL_FACTOR * apparent <= watts <= apparent + _NOISE_W


def is_tenfold(values: Values) -> bool:
    """Whether a total is ten times what its phases add up to, or a tenth: its scale is another."""
    phases = [values[key] for key in (f"active_power_{one}" for one in PHASES) if key in values]
    summed, total = abs(sum(phases)), abs(values.get("active_power", 0.0))
    if len(phases) == 1 or summed < _LEAST_OF_PHASE_W:
        return False
    return any(abs(total / summed / ten - 1) <= _TENFOLD_NEAR for ten in (10, 0.1))


def _triangle(values: Values) -> Iterator[_Proof]:
    """Compare the power factor with active and reactive power: proof without a voltage."""
    watts, reactive = (abs(values.get(one, 0.0)) for one in ("active_power", "reactive_power"))
    factor = abs(values.get("power_factor", 0.0))
    told = min(watts, reactive) >= _LEAST_DIRECT_W and factor
    if told and abs(watts / math.hypot(watts, reactive) - factor) <= _NEAR:
        yield 4, "active and reactive power match the power factor"


def _direct(values: Values) -> Iterator[_Proof]:
    """Compare the power of panels and batteries with V x I, which must match exactly."""
    for suffix in _suffixes(values):
        names = ("voltage", "current", "active_power")
        volts, amperes, watts = (abs(values.get(with_suffix(one, suffix), 0.0)) for one in names)
        same = watts >= _LEAST_DIRECT_W and abs(volts * amperes - watts) <= _NEAR * watts + 1
        if same and suffix.startswith(NO_GRID):
            yield 2, f"the power of {suffix} is its voltage x current"


def _sums(values: Values) -> Iterator[_Proof]:
    for quantity in _SUMMED:
        total = values.get(quantity, 0.0)
        parts = [values[key] for key in _parts(quantity, values)]
        several = len([part for part in parts if part]) > 1
        enough = abs(total) >= _LEAST_SUM.get(quantity, 1.0)
        if several and enough and abs(sum(parts) - total) <= _NEAR * abs(total):
            yield 3, f"the parts of {quantity} add up to its {total:g}"


def _twice(values: Values) -> Iterator[_Proof]:
    """Compare an inverter's generation with its output: the same power in two scales."""
    watts, given = (abs(values.get(one, 0.0)) for one in ("active_power", "active_power_ac"))
    if watts >= _LEAST_DIRECT_W and watts != given and abs(watts - given) <= 0.005 * watts:
        yield 3, "two datapoints have the same power in different scales"


def _parts(quantity: str, values: Values) -> list[str]:
    phases = [key for key in (f"{quantity}_{phase}" for phase in PHASES) if key in values]
    return phases or [key for key in (f"{quantity}_{n}" for n in "123") if key in values]


def _frequency(values: Values) -> Iterator[_Proof]:
    """Accept a frequency with two decimals as proof: numbers like 50 or 495 may be anything.

    Breakers have delays of up to 500 s where similar devices have tenths of a hertz.
    """
    value = values.get("frequency", 0.0)
    if any(low <= value <= high for low, high in _USUAL_HZ) and value != round(value, 1):
        yield 2, f"{value:g} Hz is a grid frequency"


def _off_grid(values: Values) -> Iterator[str]:
    for key, value in values.items():
        quantity, suffix = split_key(key)
        if quantity.key == "voltage" and value and not suffix.startswith(NO_GRID):
            if not _GRID_V[0] <= value <= _GRID_V[1]:
                yield f"{value:g} V of {key} is not a grid voltage"
        elif quantity.key == "frequency" and value and not _GRID_HZ[0] <= value <= _GRID_HZ[1]:
            yield f"{value:g} Hz is not a grid frequency"


def _refusals(values: Values) -> Iterator[str]:
    for key, value in values.items():
        quantity, suffix = split_key(key)
        if quantity.key == "leakage_current" and value > _MOST_LEAKING_A:
            yield f"{value:g} A is too much for a lasting leakage current"
        elif quantity.key == "power_factor":
            yield from _contradicted(values, key, suffix)
        elif quantity.key in POWERS and not suffix.startswith(NO_GRID):
            yield from _excess(values, key, suffix)


def _excess(values: Values, key: str, suffix: str) -> Iterator[str]:
    """Reject a power that the voltage and current of its phase, or of all, do not allow."""
    watts = values[key]
    volts = values.get(with_suffix("voltage", suffix), values.get("voltage"))
    amperes = values.get(with_suffix("current", suffix))
    if volts == 0 and abs(watts) > _NOISE_W:
        yield f"{watts:g} of {key} without a voltage"
    elif volts and amperes is not None and not allows(apparent_of(volts, amperes), watts):
        yield f"{watts:g} of {key} is more than {volts:g} V x {amperes:g} A"
    elif (not volts or amperes is None) and suffix and abs(watts) > _MOST_UNPROVED_W:
        yield f"{watts:g} of {key} is more than a house has"
    elif key == "active_power":
        yield from _excess_of_all(values, watts)
        yield from _lack(values, watts)
        yield from _ten_times_its_only_phase(values, watts)


def _contradicted(values: Values, key: str, suffix: str) -> Iterator[str]:
    """Reject a power factor far below that of its phase's voltage, current and power.

    It may be a moment older, but no load of a hundred watts has a factor of a few hundredths.
    """
    factor, watts = abs(values[key]), abs(values.get(with_suffix("active_power", suffix), 0.0))
    only = [phase for phase in PHASES if f"active_power_{phase}" in values]
    if not suffix and not watts and len(only) == 1:
        watts = abs(values[f"active_power_{only[0]}"])
    if 0 < factor < _POOREST_FACTOR and watts >= _LEAST_LOADED_W:
        yield f"{factor:g} is not a possible power factor at {watts:g} W"


def _lack(values: Values, watts: float) -> Iterator[str]:
    """Reject a total that is less than half of its only phase."""
    phases = [values[key] for key in (f"active_power_{phase}" for phase in PHASES) if key in values]
    if len(phases) == 1 and abs(phases[0]) >= max(2 * abs(watts), _LEAST_OF_PHASE_W):
        yield f"{watts:g} W is less than the {abs(phases[0]):g} W of the only phase"


def _ten_times_its_only_phase(values: Values, watts: float) -> Iterator[str]:
    """Reject a total that is just ten times the only phase: it counts tenths of a watt."""
    phases = [values[key] for key in (f"active_power_{phase}" for phase in PHASES) if key in values]
    loaded = [abs(phase) for phase in phases if abs(phase) >= _LEAST_OF_PHASE_W]
    if len(phases) == 1 and loaded and abs(abs(watts) / loaded[0] / 10 - 1) <= _NEAR:
        yield f"{watts:g} W is ten times the {loaded[0]:g} W of the only phase"


def _excess_of_all(values: Values, watts: float) -> Iterator[str]:
    pairs = [(f"voltage_{phase}", f"current_{phase}") for phase in PHASES]
    if all(volts in values and amperes in values for volts, amperes in pairs):
        apparent = sum(apparent_of(values[volts], values[amperes]) for volts, amperes in pairs)
        if not allows(apparent, watts):
            yield f"{watts:g} W is more than the {apparent:.0f} VA of all phases"
