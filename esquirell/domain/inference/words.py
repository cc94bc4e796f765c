"""The words that make up codes, and their meanings."""

import re
from collections.abc import Iterable
from functools import lru_cache


def _split(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A code with one of these is a setting, a state, a cost or a part of a counter: no measurement.
NEVER = _split(
    "coe coef calibration calib cal set setting over low under high max min limit "
    "thresh threshold thre alarm warn warning protect protection enable status state "
    "switch fault event test bit reset clear price cost fee rate tariff timer "
    "countdown schedule adj adjust ratio ration ct seq type mode direction level language "
    "standby id number name unit rated config delay start stop target ref once "
    "session balance charge credit prepay prepayment demand freeze leak trip "
    "factory version alert lower upper cut cutoff relay last reclose compensation "
    "offset step control cmd sync request response value1 day daily month monthly "
    "year yearly today yesterday week hour hourly time history curve log record avg average "
    "remaining remain remainder preset saving saved lost loss left generate "
    "ovp uvp ocp opp otp lvp scp olcp"
)
# These are irrelevant to the quantity.
NOISE = _split(
    "cur total all real phase channel ch circuit circult supply now single sigle line acc sum "
    "t measured meter mains main instant instantaneous value sensor data read device dev work "
    "sub abc cumulative accumulated accumulative display electrical actual present"
)
USE = _split("consumed consumption consume used")
IMPORT = USE | _split(
    "forward forword foward positive import imported imp fap pos from buy purchase purchased"
)
EXPORT = _split(
    "reverse reserse reserve revers backward negative export exported exp rap neg feed fed "
    "back pro sell sold inverse rkwh"
)
ENERGY = _split("energy ele electric electricity kwh rkwh elec eng ep fap rap dianliang")
POWER = _split("power watt watts pwr gonglv gonglu yggl")
VOLTAGE = _split("voltage volt vol volts dianya")
CURRENT = _split("current amp ampere amps cur curr dianliu")
FREQUENCY = _split("frequency freq fre hz achz fac")
FACTOR = _split("pf factor cosphi cosfi cos fac")
TEMPERATURE = _split("temp temperature")
KINDS = _split("active reactive apparent")
# Energy that is put into storage, and that comes out of it or of a panel.
STORED = {
    "charged": "energy_charged",
    "discharged": "energy_discharged",
    "generated": "energy_generated",
    "produced": "energy_generated",
    "generation": "energy_generated",
    "production": "energy_generated",
    "yield": "energy_generated",
}
BATTERY = _split("battery bat batt")
# Next to a battery these are the storage's, elsewhere a session's or a credit.
STORED_IN_BATTERY = {
    "char": "energy_charged",
    "chg": "energy_charged",
    "charge": "energy_charged",
    "charged": "energy_charged",
    "dischar": "energy_discharged",
    "dischg": "energy_discharged",
    "discharge": "energy_discharged",
    "discharged": "energy_discharged",
}
# Places of measurement on inverters and storage.
PLACES = {
    "battery": "battery", "bat": "battery", "batt": "battery",
    "grid": "grid", "load": "load", "ac": "ac", "dc": "dc", "pv": "pv",
    "inverter": "inverter", "inv": "inverter", "output": "output", "out": "output",
    "oup": "output", "outp": "output", "input": "input", "inp": "input",
    "eps": "eps", "backup": "backup", "home": "home", "offgrid": "offgrid",
    "pva": "pv1", "pvb": "pv2",
}  # fmt: skip
# Symbols of quantities in formulas and on displays, if the unit agrees.
LETTERS = {
    "voltage": _split("u v"),
    "current": _split("i a"),
    "power": _split("p w kw pw"),
    "reactive": _split("q"),
    "apparent": _split("s"),
    "energy": _split("e wh"),
    "frequency": _split("f"),
    "temperature": _split("t"),
}
_PHASES = {"x": "a", "y": "b", "z": "c", "l1": "a", "l2": "b", "l3": "c"}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBERED = re.compile(r"^([a-z]+?)(\d{1,2})$")
_SPELT = VOLTAGE | CURRENT | POWER | ENERGY | FREQUENCY | TEMPERATURE
_KNOWN = (
    NEVER | NOISE | IMPORT | EXPORT | FACTOR | KINDS | _SPELT
    | STORED.keys() | STORED_IN_BATTERY.keys() | PLACES.keys() | {"soc"}
)  # fmt: skip
# Long enough to correct one added, missing, changed or swapped letter without doubt.
_CORRECTED = sorted(word for word in _KNOWN if len(word) > 4)  # noqa: PLR2004
_SHORTEST_JOINED = 4


@lru_cache(maxsize=256)
def words_of(code: str) -> tuple[str, ...]:
    """Split a code into lower-case words: `ActivePowerA` into active, power, a."""
    snake = _HUMP.sub("_", code).lower()
    return tuple(
        word
        for part in re.split(r"[^a-z0-9]+", snake)
        for piece in _parts(part)
        for word in _disjoined(piece)
        if word
    )


def spelt(tokens: Iterable[str]) -> tuple[str, ...]:
    """Correct words that are one letter off a known one: `votage`, `curent`, `poewr`."""
    return tuple(_spelt(word) for word in tokens)


def place_of(word: str) -> str | None:
    """Return the phase, channel or place named by a word: `b`, `x`, `2`, `pv1`, `battery`."""
    if word in ("a", "b", "c"):
        return word
    if word in _PHASES:
        return _PHASES[word]
    if word.isdigit() and len(word) <= 2:  # noqa: PLR2004
        return word.lstrip("0") or None
    if word.startswith("pv") and word[2:].isdigit():
        return word
    return PLACES.get(word)


def place_beside(word: str, dimension: str) -> str | None:
    """Return the place in a word of the unit's letter and a place: `acv`, `ub`, `pvi`, `u`.

    The place is empty for the letter alone; None for any other word.
    """
    for letter in LETTERS.get(dimension, ()):
        if word == letter:
            return ""
        if letter == "a":
            continue  # that is a phase
        for rest in (word.removeprefix(letter), word.removesuffix(letter)):
            place = place_of(rest) if len(rest) < len(word) else None
            if place and not rest.isdigit():
                return place
    return None


def _parts(part: str) -> tuple[str, ...]:
    """Split the number off a word, unless both together are a place."""
    numbered = _NUMBERED.match(part)
    if numbered is None or part in _PHASES or part.startswith("pv"):
        return (part,)
    word, number = numbered.groups()
    if word == "t":
        return ("tariff",)
    return (number,) if word == "s" else (word, number)


def _disjoined(word: str) -> tuple[str, ...]:
    """Split two known words written as one: `acvoltage`, `powerfactor`, `volta`."""
    if word in _KNOWN:
        return (word,)
    for at in range(1, len(word)):
        first, second = word[:at], word[at:]
        if _joins(first, second) or _joins(second, first):
            return (first, second)
    return (word,)


def _joins(one: str, other: str) -> bool:
    """Whether two pieces are known words, or a quantity and its phase."""
    if len(one) < _SHORTEST_JOINED or one not in _KNOWN:
        return False
    return other in _KNOWN if len(other) > 1 else other in ("a", "b", "c") and one in _SPELT


def _spelt(word: str) -> str:
    if word in _KNOWN or len(word) < 5 or not word.isalpha():  # noqa: PLR2004
        return word
    near = [known for known in _CORRECTED if _one_letter_off(word, known)]
    return near[0] if len(near) == 1 else word


def _one_letter_off(one: str, other: str) -> bool:
    """Return whether one letter was added, dropped or replaced, or two neighbours swapped."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), -1)
    if at < 0:
        return len(one) != len(other)
    rest, known = one[at:], other[at:]
    exchanged = rest[:2] == known[1::-1] and rest[2:] == known[2:]
    return exchanged or known[1:] in (rest, rest[1:]) or rest[1:] == known
