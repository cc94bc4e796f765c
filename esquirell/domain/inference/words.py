"""The words that codes are made of, and what they tell."""

import re


def _split(text: str) -> list[str]:
    return text.split()


# A code with one of these is a setting, a state, a cost or a part of a counter: no measurement.
NEVER = frozenset(
    _split(
        "coe coef calibration calib cal set setting over low under high max min limit "
        "thresh threshold thre alarm warn warning protect protection enable status state "
        "switch fault event test bit reset clear price cost fee rate tariff timer "
        "countdown schedule adj ratio ration ct seq type mode direction level language "
        "standby id number name unit rated config delay start stop target ref once "
        "session balance charge credit prepay prepayment demand freeze leak trip work "
        "factory version alert lower upper cut cutoff relay last reclose compensation "
        "offset step control cmd sync request response value1 day daily month monthly "
        "year yearly today yesterday week hour hourly time history curve log record"
    )
)
# These say nothing of the quantity.
NOISE = frozenset(
    _split(
        "cur total all real phase channel ch circuit supply now single sigle line acc sum "
        "t measured meter mains main instant instantaneous value sensor data read"
    )
)
USE = frozenset(_split("consumed consumption consume used"))
IMPORT = USE | frozenset(
    _split("forward forword foward positive import imported imp fap pos from buy")
)
EXPORT = frozenset(
    _split(
        "reverse reserse revers backward negative export exported exp rap neg feed fed "
        "back pro sell"
    )
)
ENERGY = frozenset(_split("energy ele electric electricity kwh elec eng fap rap"))
POWER = frozenset(_split("power watt watts pwr"))
VOLTAGE = frozenset(_split("voltage volt vol volts"))
CURRENT = frozenset(_split("current amp ampere amps cur"))
FREQUENCY = frozenset(_split("frequency freq fre hz"))
TEMPERATURE = frozenset(_split("temp temperature"))
# Where a value was taken, on inverters and storage.
PLACES = {
    "battery": "battery", "bat": "battery", "batt": "battery",
    "grid": "grid", "load": "load", "ac": "ac", "dc": "dc", "pv": "pv",
    "inverter": "inverter", "inv": "inverter", "output": "output", "out": "output",
    "input": "input", "eps": "eps", "backup": "backup", "home": "home", "offgrid": "offgrid",
}  # fmt: skip
_LETTERS = {"x": "a", "y": "b", "z": "c", "l1": "a", "l2": "b", "l3": "c"}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBERED = re.compile(r"^([a-z]+?)(\d{1,2})$")


def words_of(code: str) -> tuple[str, ...]:
    """Split a code into lower-case words: `ActivePowerA` into active, power, a."""
    snake = _HUMP.sub("_", code).lower()
    return tuple(word for part in re.split(r"[^a-z0-9]+", snake) for word in _parts(part) if word)


def place_of(word: str) -> str | None:
    """Tell the phase, channel or place that a word names: `b`, `x`, `2`, `pv1`, `battery`."""
    if word in ("a", "b", "c"):
        return word
    if word in _LETTERS:
        return _LETTERS[word]
    if word.isdigit() and len(word) <= 2:  # noqa: PLR2004
        return word.lstrip("0") or None
    if word.startswith("pv") and word[2:].isdigit():
        return word
    return PLACES.get(word)


def _parts(part: str) -> tuple[str, ...]:
    """Split the number off a word, except where both together are a place."""
    numbered = _NUMBERED.match(part)
    if numbered is None or part in _LETTERS or part.startswith("pv"):
        return (part,)
    word, number = numbered.groups()
    if word == "t":
        return ("tariff",)
    return (number,) if word == "s" else (word, number)
