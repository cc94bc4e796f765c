"""The packed frames by name: length, layout and quantities; and how to recognise each."""

import re
from collections.abc import Callable, Mapping

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import phase
from esquirell.domain.frames.octets import number, signed_little
from esquirell.domain.frames.phase import Fields
from esquirell.domain.plausibility import closest
from esquirell.domain.record import record

_CIRCUITS = 16
_VIP = ("voltage", "current", "active_power")
_FULL = (*_VIP, "reactive_power", "apparent_power", "power_factor")
_ABC = ("a", "b", "c")
_SIXTEEN = range(1, _CIRCUITS + 1)
_BY_LENGTH = {7: "legacy-7", 8: "legacy-8", 11: "wdyk-4p"}
_TAGGED = {(17, b"\x01\x0f"): "v01-17", (18, b"\x02\x0f"): "v02-18"}
_PANEL = re.compile(r"pv|dc|bat", re.IGNORECASE)
_CURRENTS = re.compile(r"current|_i$", re.IGNORECASE)
_ONE_PHASE = re.compile(r"phase_([abc]|s?\d+)$", re.IGNORECASE)
_GRID_V = range(800, 5000)
_GRID_DHZ = range(450, 651)
_GRID_MHZ = range(45_000, 65_001)


def _dc_6(frame: bytes) -> Fields:
    """V [0:2] in 0.1 V, I [2:4] in 0.1 A, P [4:6] in 0.1 W (Soria), 10 W (GTB) or W (Lidl)."""
    voltage, current = number(frame, 0, 2) / 10, number(frame, 2, 4) / 10
    raw = number(frame, 4, 6)
    powers = (raw / 10, float(raw), raw * 10.0)
    return {
        "voltage": voltage,
        "current": current,
        "active_power": powers[closest(voltage * current, powers)],
    }


def _ac_10(frame: bytes) -> Fields:
    """V [0:2] in 0.1 V, I [2:5] mA, P [5:8] in mW (WVC, Soria) or W (GTB), f [8:10] in 0.1 Hz."""
    voltage, current = number(frame, 0, 2) / 10, number(frame, 2, 5) / 1000
    raw = number(frame, 5, 8)
    powers = (raw / 1000, float(raw))
    return {
        "voltage": voltage,
        "current": current,
        "active_power": powers[closest(voltage * current, powers)],
        "frequency": number(frame, 8, 10) / 10,
    }


def _lidl_13(frame: bytes) -> Fields:
    """Two channels behind one byte: V in 0.1 V, I in 0.1 or 0.01 A, P in W, 2 bytes each."""
    return _channel(frame, 1, "1") | _channel(frame, 7, "2")


def _channel(frame: bytes, start: int, name: str) -> Fields:
    voltage = number(frame, start, start + 2) / 10
    raw, power = number(frame, start + 2, start + 4), number(frame, start + 4, start + 6)
    currents = (raw / 10, raw / 100)
    fit = closest(power, [voltage * current for current in currents])
    return {
        f"voltage_{name}": voltage,
        f"current_{name}": currents[fit],
        f"active_power_{name}": power,
    }


def _voltages_6(frame: bytes) -> Fields:
    """V of a, b, c, two bytes each in 0.1 V."""
    return {f"voltage_{name}": number(frame, 2 * at, 2 * at + 2) / 10 for at, name in _each()}


def _currents_9(frame: bytes) -> Fields:
    """I of a, b, c, three bytes each in mA."""
    return {f"current_{name}": number(frame, 3 * at, 3 * at + 3) / 1000 for at, name in _each()}


def _powers_12(frame: bytes) -> Fields:
    """P of all, a, b, c, three bytes each in 0.1 W."""
    phases = {
        f"active_power_{name}": number(frame, 3 * at + 3, 3 * at + 6) / 10 for at, name in _each()
    }
    return {"active_power": number(frame, 0, 3) / 10} | phases


def _earu_le_13(frame: bytes) -> Fields:
    """V in 0.1 V, I in mA, P in W, signed, four bytes each, and one byte more."""
    return {
        "voltage": signed_little(frame, 0) / 10,
        "current": signed_little(frame, 4) / 1000,
        "active_power": signed_little(frame, 8),
    }


def _earu_le_9(frame: bytes) -> Fields:
    """As earu-le-13, without the voltage: all phases together."""
    return {"current": signed_little(frame, 0) / 1000, "active_power": signed_little(frame, 4)}


def _earu_le_81_powers(frame: bytes) -> Fields:
    """P of sixteen circuits in W, five bytes each, the fifth unused."""
    return {f"active_power_{at + 1}": signed_little(frame, 5 * at) for at in range(_CIRCUITS)}


def _earu_le_81_currents(frame: bytes) -> Fields:
    """I of sixteen circuits in mA, five bytes each, the fifth unused."""
    return {f"current_{at + 1}": signed_little(frame, 5 * at) / 1000 for at in range(_CIRCUITS)}


def _each() -> enumerate[str]:
    return enumerate(_ABC)


@record
class Codec:
    """How to unpack frames of one of `lengths` bytes; `holds` names their quantities."""

    lengths: tuple[int, ...]
    unpack: Callable[[bytes], Fields]
    holds: tuple[str, ...] = _VIP


CODECS: Mapping[str, Codec] = {
    "legacy-8": Codec((8,), phase.legacy_8),
    "legacy-7": Codec((7,), phase.legacy_7),
    "legacy-10": Codec((10,), phase.legacy_10),
    "v01-17": Codec((17,), phase.v01_17, _FULL),
    "v02-18": Codec((18,), phase.v02_18, _FULL),
    "dts-15": Codec((15,), phase.dts_15),
    "earu-15": Codec((15,), phase.earu_15, (*_VIP, "reactive_power", "power_factor", "frequency")),
    "wdyk-4p": Codec((9, 11), phase.wdyk_4p),
    "inverter-ac-10": Codec((10,), _ac_10, (*_VIP, "frequency")),
    "inverter-dc-6": Codec((6,), _dc_6),
    "lidl-13": Codec((13,), _lidl_13, tuple(f"{q}_{n}" for n in "12" for q in _VIP)),
    "voltages-6": Codec((6,), _voltages_6, tuple(f"voltage_{n}" for n in _ABC)),
    "currents-9": Codec((9,), _currents_9, tuple(f"current_{n}" for n in _ABC)),
    "powers-12": Codec((12,), _powers_12, ("active_power", *(f"active_power_{n}" for n in _ABC))),
    "earu-le-13": Codec((13,), _earu_le_13),
    "earu-le-9": Codec((9,), _earu_le_9, ("current", "active_power")),
    "earu-le-81-powers": Codec(
        (81,), _earu_le_81_powers, tuple(f"active_power_{n}" for n in _SIXTEEN)
    ),
    "earu-le-81-currents": Codec(
        (81,), _earu_le_81_currents, tuple(f"current_{n}" for n in _SIXTEEN)
    ),
}


def codec_of(frame: bytes, code: str, *, inverter: bool) -> str:
    """Return the name of the codec for a frame under `code`. Raises DecodeError if none fits."""
    name = _TAGGED.get((len(frame), frame[:2])) or _BY_LENGTH.get(len(frame))
    name = name or _ambiguous(frame, code, inverter=inverter)
    if name is None:
        raise DecodeError(f"no known frame has {len(frame)} bytes and this beginning")
    return name


def _ambiguous(frame: bytes, code: str, *, inverter: bool) -> str | None:
    match len(frame):
        case 6:
            return _six(code)
        case 9 | 12:
            return _of_all_phases(len(frame), code)
        case 10:
            # No breaker stays closed at half an ampere of residual current: it is a frequency.
            return (
                "inverter-ac-10" if inverter or number(frame, 8, 10) in _GRID_DHZ else "legacy-10"
            )
        case 13:
            return _thirteen(frame)
        case 15:
            return _fifteen(frame)
    return None


def _six(code: str) -> str | None:
    if _PANEL.search(code):
        return "inverter-dc-6"
    return "voltages-6" if "voltage" in code.lower() else None


def _of_all_phases(length: int, code: str) -> str | None:
    """Return the layout of a frame with one quantity of all phases; None for one of one phase."""
    if length == 12:  # noqa: PLR2004
        return None if _ONE_PHASE.search(code) else "powers-12"
    return "currents-9" if _CURRENTS.search(code) else "wdyk-4p"


def _thirteen(frame: bytes) -> str | None:
    """Return EARU's layout if four little-endian bytes are a grid voltage, else Lidl's, or None."""
    voltage = signed_little(frame, 0)
    if voltage == 0 or voltage in _GRID_V:
        return "earu-le-13"
    return "lidl-13" if frame[0] < 16 else None  # noqa: PLR2004 - a count of channels or a flag


def _fifteen(frame: bytes) -> str | None:
    if number(frame, 0, 2) in _GRID_V and number(frame, 13, 15) in _GRID_MHZ:
        return "earu-15"
    if frame[0] <= 1 and frame[4] <= 1:
        return "dts-15"
    return None
