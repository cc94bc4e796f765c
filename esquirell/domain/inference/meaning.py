"""Derives the meaning of a code: a quantity of a phase, channel or place, or no measurement."""

import re
from collections.abc import Collection, Mapping

from esquirell.domain.inference import words
from esquirell.domain.inference.specification import Specified
from esquirell.domain.inference.units import Dimension, Unit, unit_of
from esquirell.domain.record import record

_FRAME_WORDS = frozenset(["phase", "dc", "ac", "data"])
_FRAME_KINDS = ("raw", "json")
# Some are described as text, of base64, hex or JSON.
_TEXT_FRAME = re.compile(r"phase_(s\d{1,2}|[abc])")
# Frames of one quantity for all phases.
_WHOLE = tuple(
    (*before, quantity)
    for quantity in ("voltage", "current", "power")
    for before in ((), ("phase",))
)
# The increments that turned out to be counters have this range; others have 50,000 or 500,000.
_COUNTER_ROOM = 100_000_000
# Larger ranges are ambiguous, and summing up a counter would invent energy.
_INCREMENT_ROOM = 500_000
_TOTALS = words.IMPORT - words.USE | words.EXPORT | {"total", "all"}
_WAYS = re.compile(r"^([abc]|\d*|grid)$")
LEAST_ROOM_KWH = 1000
# A measurement can be zero: a minimum above zero shows a setting.
_CHOSEN = ("voltage", "current", "power", "energy")
_CHOSEN_FROM = 2
_BY_DIMENSION: Mapping[Dimension, str] = {
    "voltage": "voltage",
    "current": "current",
    "power": "active_power",
    "reactive": "reactive_power",
    "apparent": "apparent_power",
    "frequency": "frequency",
    "temperature": "temperature",
}
# Dual clamp meters prefix this to what their clamps share: `f_ac_v`, `f_ac_line_freq`.
_BEFORE = ("f", "ac")
# Words that may accompany a unit without another meaning.
_BESIDE: Mapping[Dimension, frozenset[str]] = {
    "voltage": words.VOLTAGE | {"current"},
    "current": words.CURRENT | words.ENERGY,
    "power": words.POWER | {"active", "current", "consumption"},
    "reactive": words.POWER | {"reactive"},
    "apparent": words.POWER | {"apparent"},
    "frequency": words.FREQUENCY | {"power"},
    "temperature": words.TEMPERATURE,
}
# An electricity that was accumulated is a counter; otherwise it may be anything.
_ADDED_UP = frozenset(["total", "all", "energy", "acc", "accumulated", "cumulative"])
# Many call energy a power, as Chinese has one word for both: then the total must be named.
_COUNTED = frozenset(
    ["consumption", "cumulative", "accumulated", "accumulative", *words.STORED, "kwh", "wh"]
)

# The scale and the highest number of a share: SPM02's power factor under the name of a leakage.
_SHARE = (2, 100)


@record
class Meaning:
    """A quantity and its suffix; `sure` is False for unusual codes."""

    quantity: str
    suffix: str = ""
    sure: bool = True

    @property
    def key(self) -> str:
        return f"{self.quantity}_{self.suffix}" if self.suffix else self.quantity


def meaning_of(spec: Specified) -> Meaning | None:
    """Return the meaning of a numeric datapoint; None if it is no measurement."""
    code, unit = spec.code, unit_of(spec.unit)
    if code == "cur_neutral":
        return Meaning("energy_export") if _is(unit, "energy") else None
    tokens = words.words_of(code)
    if tokens[: len(_BEFORE)] == _BEFORE:
        tokens = tokens[len(_BEFORE) :]
    if "add" in tokens:
        return _increment(tokens, spec)
    if tokens in (("leakage", "current"), ("residual", "current"), ("cur", "leakage")):
        if unit is None and (spec.scale, spec.highest) == _SHARE:
            return Meaning("power_factor")
        return Meaning("leakage_current") if code != "Leakage_current" else None
    if is_chosen(spec) or (spec.of_a_day and "energy" in tokens):
        return None
    found = _measured(tokens, unit, spec)
    if found is None and unit is not None:
        found = _measured(words.spelt(tokens), unit, spec) or _by_unit(tokens, unit)
    is_energy = found is not None and found.quantity.startswith("energy")
    return None if is_energy and spec.report == "sum" and not _TOTALS & set(tokens) else found


def is_chosen(spec: Specified) -> bool:
    """Whether a datapoint is a setting or no measurement, by its words, unit and range."""
    tokens, unit = set(words.spelt(words.words_of(spec.code))), unit_of(spec.unit)
    if words.NEVER & tokens and not _is_of_battery(tokens, unit):
        return True
    if _is(unit, "time"):
        return True  # power stations count hours of generation as `reverse_energy_total`
    chosen = unit is not None and unit.dimension in _CHOSEN
    return chosen and (spec.lowest or 0) >= _CHOSEN_FROM


def frame_suffix(code: str, kind: str) -> str | None:
    """Return the phase, channel or place of a packed frame; None if the code names none."""
    if kind not in _FRAME_KINDS and not _TEXT_FRAME.fullmatch(code):
        return None
    tokens = words.words_of(code)
    if kind in _FRAME_KINDS and tokens in _WHOLE:
        return ""
    if not {"phase", "data"} & set(tokens):
        return None
    rest = [word for word in tokens if word not in _FRAME_WORDS]
    return _suffix(rest) if len(rest) <= 1 else None


def _increment(tokens: tuple[str, ...], spec: Specified) -> Meaning | None:
    """Treat add_ele, usually an increment since the last report, as a total if its range fits."""
    if tokens[:2] == ("pro", "add"):
        return Meaning("energy_export", sure=False)
    if "ele" not in tokens or not _is_counter(spec):
        return None
    suffix = _suffix([word for word in tokens if word not in ("add", "ele")])
    return None if suffix is None else Meaning("energy_import", suffix)


def counter_added_to(spec: Specified) -> str | None:
    """Return the counter that increments (`add_ele`) add to; None for other datapoints."""
    tokens = words.words_of(spec.code)
    if not {"add", "ele"} <= set(tokens) or (spec.highest or 0) > _INCREMENT_ROOM:
        return None
    if spec.report == "minux":
        return None
    suffix = _suffix([word for word in tokens if word not in ("add", "ele")])
    return None if suffix is None else Meaning("energy_import", suffix).key


def _is_counter(spec: Specified) -> bool:
    """Return whether the maker describes a counter, by its report type or its range."""
    return spec.report == "minux" or (spec.highest or 0) >= _COUNTER_ROOM


def _is_of_battery(tokens: Collection[str], unit: Unit | None) -> bool:
    """Return whether a charge is a battery's, counted in kWh."""
    of_battery = words.BATTERY & set(tokens) and words.STORED_IN_BATTERY.keys() & set(tokens)
    return bool(of_battery) and _is(unit, "energy") and len(words.NEVER & set(tokens)) == 1


def _measured(tokens: tuple[str, ...], unit: Unit | None, spec: Specified) -> Meaning | None:
    rules = (_charge, _temperature, _factor, _frequency, _energy, _power, _voltage, _current)
    for rule in rules:
        found = rule(frozenset(tokens), unit, spec)
        if found is None:
            continue
        quantity, used = found
        suffix = _suffix([word for word in tokens if word not in used | words.NOISE])
        return None if suffix is None else _placed(quantity, suffix)
    return None


def _by_unit(tokens: tuple[str, ...], unit: Unit) -> Meaning | None:
    """Use the unit if no word decides: `DeviceKw`, `ua`, `PVI`; the other words must fit.

    Energy is left out: a unit alone does not tell a counter from a session.
    """
    quantity = _BY_DIMENSION.get(unit.dimension)
    if quantity is None:
        return None
    places: list[str] = []
    for word in tokens:
        if word in words.NOISE or word in _BESIDE[unit.dimension]:
            continue
        place = words.place_of(word) or words.place_beside(word, unit.dimension)
        if tokens == (word,) and word in words.LETTERS.get(unit.dimension, ()):
            place = ""  # `A` in amperes is no phase
        if place is None:
            return None
        places += [place] if place else []
    suffix = _suffix(places)
    return None if suffix is None else Meaning(quantity, suffix)


def _placed(quantity: str, suffix: str) -> Meaning | None:
    """Return the meaning of a quantity at a place; a panel's counter is generation, not import."""
    if quantity not in ("energy_import", "energy_export") or _WAYS.match(suffix):
        return Meaning(quantity, suffix)
    return Meaning("energy_generated", suffix) if suffix.startswith("pv") else None


_Match = tuple[str, frozenset[str]] | None


def _charge(tokens: frozenset[str], _unit: Unit | None, _spec: Specified) -> _Match:
    if "soc" in tokens or tokens == {"battery", "percentage"}:
        return "state_of_charge", frozenset({"soc", "percentage", "battery", "bat", "current"})
    return None


def _temperature(tokens: frozenset[str], unit: Unit | None, _spec: Specified) -> _Match:
    if not tokens & words.TEMPERATURE or _is(unit, "fahrenheit"):
        return None
    if unit is None and {"temp", "value"} <= tokens:
        return None  # the colour temperature of a lamp, from warm to cold
    if unit is not None and unit.dimension not in ("temperature", "energy"):
        return None  # the sign of degrees is also that of kWh
    inside = {"current", "cpu", "inner", "internal", "va"}
    return "temperature", words.TEMPERATURE | inside


def _frequency(tokens: frozenset[str], unit: Unit | None, _spec: Specified) -> _Match:
    if not tokens & words.FREQUENCY or (unit is not None and not _is(unit, "frequency")):
        return None
    return "frequency", words.FREQUENCY | {"ac", "grid", "power"}


def _factor(tokens: frozenset[str], unit: Unit | None, spec: Specified) -> _Match:
    if not (tokens & {"pf", "cosphi", "cosfi", "cos"} or {"power", "factor"} <= tokens):
        alone = tokens & words.FACTOR and tokens <= words.FACTOR | words.NOISE
        if not alone or not _reaches_one(spec) or (unit is not None and not _is(unit, "share")):
            return None
    return "power_factor", words.FACTOR | {"power"}


def _reaches_one(spec: Specified) -> bool:
    """Return whether the maximum, with its decimals, is 1 or slightly more.

    This is how power factors are described: with two or three decimals, 0 to 1 or 0 to 9.999.
    """
    one = 10 ** (spec.scale or 0)
    return one > 1 and spec.highest is not None and one <= spec.highest < 10 * one


def room(spec: Specified) -> float | None:
    """Return the maximum of a counter in kWh according to its maker, if known."""
    unit = unit_of(spec.unit)
    if spec.highest is None or spec.scale is None or unit is None or unit.dimension != "energy":
        return None
    return float(spec.highest / 10**spec.scale * unit.size)


def _is_of_a_day(tokens: Collection[str], spec: Specified) -> bool:
    """Return whether a counter overflows within months: then it counts a day or a session."""
    holds = room(spec)
    if holds is None or _TOTALS & set(tokens):
        return False
    return holds < LEAST_ROOM_KWH or (holds == LEAST_ROOM_KWH and not words.USE & set(tokens))


def _energy(tokens: frozenset[str], unit: Unit | None, spec: Specified) -> _Match:
    """Recognise energy by its word, or by its unit if the code says power or consumption."""
    if _is_of_a_day(tokens, spec):
        return None
    stores = tokens & words.BATTERY and tokens & words.STORED_IN_BATTERY.keys()
    by_unit = _is(unit, "energy") and bool(tokens & _COUNTED or stores)
    # A single letter is the whole code on a meter that has p, q and s as well.
    by_letter = _is(unit, "energy") and tokens <= words.LETTERS["energy"]
    if not (tokens & words.ENERGY or by_unit or by_letter):
        return None
    if unit is not None and unit.dimension not in ("energy", "other"):
        return None
    if {"reactive", "apparent"} & tokens:
        return None
    used = words.ENERGY | words.IMPORT | words.EXPORT | {"active", "power", "p"}
    used |= words.LETTERS["energy"] if by_letter else frozenset()
    stored = dict(words.STORED)
    if tokens & words.BATTERY:
        stored |= words.STORED_IN_BATTERY
    for word, quantity in stored.items():
        if word in tokens:
            return quantity, used | {word, "pv", *words.BATTERY}
    if not tokens & (words.IMPORT | _ADDED_UP) and "ele" not in tokens:
        used -= {"electric", "electricity"}
    return ("energy_export" if tokens & words.EXPORT else "energy_import"), used


_POWERS = ("power", "reactive", "apparent", "other")
_TOTAL_OR_PHASE = frozenset("abct")


def _power(tokens: frozenset[str], unit: Unit | None, _spec: Specified) -> _Match:
    by_unit = _is(unit, "power")
    # Beside a phase or `t` for total it is a power, elsewhere a password.
    short = "pw" in tokens and tokens & _TOTAL_OR_PHASE
    named = (tokens & words.POWER or short) and "consumption" not in tokens
    if not (named or by_unit) or (unit is not None and unit.dimension not in _POWERS):
        return None
    if unit is None and tokens & words.BATTERY:
        return None  # that is how full it is
    used = words.POWER | {"active", "consumption", "pw"}
    if _is(unit, "power"):
        used |= {"current"}
    if "reactive" in tokens or _is(unit, "reactive"):
        return "reactive_power", used | {"reactive", "inactive"}
    if "apparent" in tokens or _is(unit, "apparent"):
        return "apparent_power", used | {"apparent"}
    return "active_power", used | ({"output"} if "inverter" in tokens else frozenset())


def _voltage(tokens: frozenset[str], unit: Unit | None, _spec: Specified) -> _Match:
    if not tokens & words.VOLTAGE or _is(unit, "share"):
        return None
    return "voltage", words.VOLTAGE | {"current"}


def _current(tokens: frozenset[str], unit: Unit | None, _spec: Specified) -> _Match:
    if not tokens & words.CURRENT or (unit is not None and unit.dimension in _OTHERS):
        return None
    return "current", words.CURRENT | {"electric"}


_OTHERS = ("power", "voltage", "energy", "frequency", "temperature", "share")


def _suffix(rest: Collection[str]) -> str | None:
    """Derive the suffix from the remaining words; None if one of them is no place."""
    places = [words.place_of(word) for word in rest]
    if None in places or len(places) > 2:  # noqa: PLR2004 - a place and its number
        return None
    named = [place for place in places if place]
    if any(place.startswith("pv") for place in named):
        named = [place for place in named if place != "input"]
    if len(named) == 2 and named[0] == "pv" and named[1].isdigit():  # noqa: PLR2004
        return "".join(named)
    return "_".join(named)


def _is(unit: Unit | None, dimension: Dimension) -> bool:
    return unit is not None and unit.dimension == dimension
