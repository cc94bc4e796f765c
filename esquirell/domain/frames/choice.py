"""Which frame it is: decided by length and header, and by what is known about the product."""

import re

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames.octets import number, signed_little

_BY_LENGTH = {7: "legacy-7", 8: "legacy-8", 11: "wdyk-4p"}
_TAGGED = {(17, b"\x01\x0f"): "v01-17", (18, b"\x02\x0f"): "v02-18"}
_PANEL = re.compile(r"pv|dc|bat", re.IGNORECASE)
_CURRENTS = re.compile(r"current|_i$", re.IGNORECASE)
_ONE_PHASE = re.compile(r"phase_([abc]|s?\d+)$", re.IGNORECASE)
_GRID_V = range(800, 5000)
_GRID_DHZ = range(450, 651)
_GRID_MHZ = range(45_000, 65_001)


def codec_of(frame: bytes, code: str, *, inverter: bool) -> str:
    """Name the codec of a frame that came under `code`. Raises DecodeError if none fits."""
    name = _TAGGED.get((len(frame), frame[:2])) or _BY_LENGTH.get(len(frame))
    name = name or _ambiguous(frame, code, inverter=inverter)
    if name is None:
        raise DecodeError(f"no frame is known of {len(frame)} bytes that starts like this one")
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
    """Distinguish, by their code, frames of one quantity of all phases from those of one phase."""
    if length == 12:  # noqa: PLR2004
        return None if _ONE_PHASE.search(code) else "powers-12"
    return "currents-9" if _CURRENTS.search(code) else "wdyk-4p"


def _thirteen(frame: bytes) -> str | None:
    """EARU's voltage is a little-endian number of four bytes; Lidl's is the first after a byte."""
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
