"""Frames of several phases or circuits at once, one quantity each, and EARU's little-endian ones.

Layouts: tuya-local's wdyk_3phase and earu_multicircuit.
"""

from esquirell.domain.frames.octets import number, signed_little
from esquirell.domain.frames.phase import Fields

_PHASES = ("a", "b", "c")
_CIRCUITS = 16


def voltages_6(frame: bytes) -> Fields:
    """V of a, b, c, two bytes each in 0.1 V."""
    return {f"voltage_{name}": number(frame, 2 * at, 2 * at + 2) / 10 for at, name in _each()}


def currents_9(frame: bytes) -> Fields:
    """I of a, b, c, three bytes each in mA."""
    return {f"current_{name}": number(frame, 3 * at, 3 * at + 3) / 1000 for at, name in _each()}


def powers_12(frame: bytes) -> Fields:
    """P of all, a, b, c, three bytes each in 0.1 W."""
    phases = {
        f"active_power_{name}": number(frame, 3 * at + 3, 3 * at + 6) / 10 for at, name in _each()
    }
    return {"active_power": number(frame, 0, 3) / 10} | phases


def earu_le_13(frame: bytes) -> Fields:
    """V in 0.1 V, I in mA, P in W, signed, four bytes each, and one byte more."""
    return {
        "voltage": signed_little(frame, 0) / 10,
        "current": signed_little(frame, 4) / 1000,
        "active_power": signed_little(frame, 8),
    }


def earu_le_9(frame: bytes) -> Fields:
    """As earu-le-13, without the voltage: all phases together."""
    return {"current": signed_little(frame, 0) / 1000, "active_power": signed_little(frame, 4)}


def earu_le_81_powers(frame: bytes) -> Fields:
    """P of sixteen circuits in W, five bytes each, the fifth unused."""
    return {f"active_power_{at + 1}": signed_little(frame, 5 * at) for at in range(_CIRCUITS)}


def earu_le_81_currents(frame: bytes) -> Fields:
    """I of sixteen circuits in mA, five bytes each, the fifth unused."""
    return {f"current_{at + 1}": signed_little(frame, 5 * at) / 1000 for at in range(_CIRCUITS)}


def _each() -> enumerate[str]:
    return enumerate(_PHASES)
