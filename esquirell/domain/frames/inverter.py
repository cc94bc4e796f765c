"""Frames of inverters and storage: the panel's side (6 and 13 bytes), the grid's side (10).

Layouts: tuya-local's masks for Soria, WVC, GTB, MI-400 and Lidl. The firms scale the same fields
differently, so the scale is the one at which power is voltage x current.
"""

from esquirell.domain.frames.evidence import closest
from esquirell.domain.frames.octets import number
from esquirell.domain.frames.phase import Fields


def dc_6(frame: bytes) -> Fields:
    """V [0:2] in 0.1 V, I [2:4] in 0.1 A, P [4:6] in 0.1 W (Soria), 10 W (GTB) or W (Lidl)."""
    voltage, current = number(frame, 0, 2) / 10, number(frame, 2, 4) / 10
    raw = number(frame, 4, 6)
    powers = (raw / 10, float(raw), raw * 10.0)
    return {
        "voltage": voltage,
        "current": current,
        "active_power": powers[closest(voltage * current, powers)],
    }


def ac_10(frame: bytes) -> Fields:
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


def lidl_13(frame: bytes) -> Fields:
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
