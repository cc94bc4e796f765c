"""What a code means: a quantity of a phase, channel or place, or nothing that is measured."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from esquirell.domain.inference import words
from esquirell.domain.inference.specification import Specified
from esquirell.domain.inference.units import Dimension, Unit, unit_of

_FRAME_WORDS = frozenset(["phase", "dc", "ac", "data"])
_FRAME_KINDS = ("raw", "json")
# Some say text, of base64, of hex or of JSON.
_TEXT_FRAME = re.compile(r"phase_(s\d{1,2}|[abc])")
# Frames of one quantity of all phases.
_WHOLE = tuple(
    (*before, quantity)
    for quantity in ("voltage", "current", "power")
    for before in ((), ("phase",))
)
# The increments that were found to be a counter have this much room, others 50,000 or 500,000.
_COUNTER_ROOM = 100_000_000
_TOTALS = words.IMPORT - words.USE | words.EXPORT | {"total", "all"}
_WAYS = re.compile(r"^([abc]|\d*|grid)$")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A quantity and its suffix; `sure` is False where the code is unusual."""

    quantity: str
    suffix: str = ""
    sure: bool = True

    @property
    def key(self) -> str:
        """The quantity key."""
        return f"{self.quantity}_{self.suffix}" if self.suffix else self.quantity


def meaning_of(spec: Specified) -> Meaning | None:
    """Tell what a numeric datapoint measures; None for what is no measurement."""
    code, unit = spec.code, unit_of(spec.unit)
    if code == "cur_neutral":
        return Meaning("energy_export") if _is(unit, "energy") else None
    spoken = words.words_of(code)
    if "add" in spoken:
        return _increment(spoken, spec)
    if code == "leakage_current" or spoken in (("residual", "current"), ("cur", "leakage")):
        return Meaning("leakage_current")
    if words.NEVER & set(spoken):
        return None
    found = _measured(spoken, unit)
    is_energy = found is not None and found.quantity.startswith("energy")
    return None if is_energy and spec.report == "sum" and not _TOTALS & set(spoken) else found


def frame_suffix(code: str, kind: str) -> str | None:
    """Tell the phase, channel or place of a packed frame; None if the code names none."""
    if kind not in _FRAME_KINDS and not _TEXT_FRAME.fullmatch(code):
        return None
    spoken = words.words_of(code)
    if kind in _FRAME_KINDS and spoken in _WHOLE:
        return ""
    if not {"phase", "data"} & set(spoken):
        return None
    rest = [word for word in spoken if word not in _FRAME_WORDS]
    return _suffix(rest) if len(rest) <= 1 else None


def _increment(spoken: tuple[str, ...], spec: Specified) -> Meaning | None:
    """Take add_ele, an increment since the last report, for a total if it has room for one."""
    if spoken[:2] == ("pro", "add"):
        return Meaning("energy_export", sure=False)
    if "ele" not in spoken or not _is_counter(spec):
        return None
    suffix = _suffix([word for word in spoken if word not in ("add", "ele")])
    return None if suffix is None else Meaning("energy_import", suffix)


def _is_counter(spec: Specified) -> bool:
    """Tell whether the maker describes a counter: by its report, or by its room."""
    return spec.report == "minux" or (spec.highest or 0) >= _COUNTER_ROOM


def _measured(spoken: tuple[str, ...], unit: Unit | None) -> Meaning | None:
    for told in (_charge, _temperature, _frequency, _factor, _energy, _power, _voltage, _current):
        found = told(frozenset(spoken), unit)
        if found is None:
            continue
        quantity, used = found
        suffix = _suffix([word for word in spoken if word not in used | words.NOISE])
        return None if suffix is None else _placed(quantity, suffix)
    return None


def _placed(quantity: str, suffix: str) -> Meaning | None:
    """Give the meaning of a quantity at a place; what a panel counts is made, not imported."""
    if quantity not in ("energy_import", "energy_export") or _WAYS.match(suffix):
        return Meaning(quantity, suffix)
    return Meaning("energy_generated", suffix) if suffix.startswith("pv") else None


_Told = tuple[str, frozenset[str]] | None


def _charge(spoken: frozenset[str], _unit: Unit | None) -> _Told:
    if "soc" in spoken or spoken == {"battery", "percentage"}:
        return "state_of_charge", frozenset({"soc", "percentage", "battery", "bat", "current"})
    return None


def _temperature(spoken: frozenset[str], unit: Unit | None) -> _Told:
    if not spoken & words.TEMPERATURE or _is(unit, "fahrenheit"):
        return None
    return "temperature", words.TEMPERATURE | {
        "current",
        "cpu",
        "device",
        "inner",
        "internal",
        "va",
    }


def _frequency(spoken: frozenset[str], _unit: Unit | None) -> _Told:
    if not spoken & words.FREQUENCY:
        return None
    return "frequency", words.FREQUENCY | {"ac", "grid", "power"}


def _factor(spoken: frozenset[str], _unit: Unit | None) -> _Told:
    if not (spoken & {"pf", "cosphi"} or {"power", "factor"} <= spoken):
        return None
    return "power_factor", frozenset({"pf", "power", "factor", "cosphi"})


_STORED = {
    "charged": "energy_charged",
    "discharged": "energy_discharged",
    "generated": "energy_generated",
    "produced": "energy_generated",
}


def _energy(spoken: frozenset[str], unit: Unit | None) -> _Told:
    """Energy is told by its word, or by its unit where the code says power or consumption."""
    by_unit = _is(unit, "energy") and "consumption" in spoken
    if not spoken & words.ENERGY and not by_unit:
        return None
    if unit is not None and unit.dimension not in ("energy", "other"):
        return None
    used = words.ENERGY | words.IMPORT | words.EXPORT | {"active", "power", "cumulative"}
    for word, quantity in _STORED.items():
        if word in spoken:
            return quantity, used | {word, "pv", "battery", "bat"}
    if not spoken & (words.IMPORT | {"total", "all", "energy", "acc"}) and "ele" not in spoken:
        used -= {"electric", "electricity"}
    if {"reactive", "apparent"} & spoken:
        return None
    return ("energy_export" if spoken & words.EXPORT else "energy_import"), used


def _power(spoken: frozenset[str], unit: Unit | None) -> _Told:
    by_unit = _is(unit, "power") and "consumption" in spoken
    if not spoken & words.POWER and not by_unit:
        return None
    if "consumption" in spoken and not by_unit:
        return None
    used = words.POWER | {"active", "consumption"}
    if "reactive" in spoken:
        return "reactive_power", used | {"reactive"}
    if "apparent" in spoken:
        return "apparent_power", used | {"apparent"}
    if {"inverter", "output"} <= spoken:
        return "active_power", used | {"output"}
    return "active_power", used


def _voltage(spoken: frozenset[str], _unit: Unit | None) -> _Told:
    if not spoken & words.VOLTAGE:
        return None
    return "voltage", words.VOLTAGE | {"current"}


def _current(spoken: frozenset[str], _unit: Unit | None) -> _Told:
    if not spoken & words.CURRENT:
        return None
    return "current", words.CURRENT | {"electric"}


def _suffix(rest: Collection[str]) -> str | None:
    """Make the suffix of the words that are left; None if one of them is no place."""
    places = [words.place_of(word) for word in rest]
    if None in places or len(places) > 2:  # noqa: PLR2004 - a place and its number
        return None
    named = [place for place in places if place]
    if len(named) == 2 and named[0] == "pv" and named[1].isdigit():  # noqa: PLR2004
        return "".join(named)
    return "_".join(named)


def _is(unit: Unit | None, dimension: Dimension) -> bool:
    return unit is not None and unit.dimension == dimension
