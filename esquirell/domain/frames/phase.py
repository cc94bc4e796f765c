"""Frames of one phase: voltage, current, power, of 7 to 18 bytes, big-endian.

Layouts: Tuya's product models, tuya-device-handlers `raw_data_model`, and tuya-local's masks.
Voltages are in 0.1 V, currents in mA, powers in W, var and VA, unless said otherwise.
"""

from collections.abc import Iterator

from esquirell.domain.frames.octets import number
from esquirell.domain.plausibility import allows

Fields = dict[str, float]

_LOWEST_GRID_V, _HIGHEST_GRID_V = 80, 500
_MISREAD = ("voltage", "current", "active_power")
_BIT = 1 << 23
_ROUND = 1 << 24
_OFFSET = 0x19999A
# The 24 bits that are left of 2^32 / 10, as PC321-Z-TY writes it (zigbee2mqtt #32995).
_CUT_OFFSET = 0x99999A
_LOW = 0xFFFF
# A current beyond any house's: its high byte has another meaning.
_HIGHEST_MA = 655_350
_LEAST_FACTOR = 0.2
_NOISE = 5


def legacy_8(frame: bytes) -> Fields:
    """V [0:2], I [2:5], P [5:8], with a sign in any known form."""
    return _measured(frame, (2, 5), (5, 8))


def legacy_7(frame: bytes) -> Fields:
    """V [0:2], I [2:5], P [5:7]; noeifevo chargers have their current in [3:5]."""
    return _measured(frame, (2, 5), (5, 7))


def legacy_10(frame: bytes) -> Fields:
    """As legacy-8, then the residual current [8:10] in mA; zero if unused."""
    fields = legacy_8(frame)
    if residual := number(frame, 8, 10):
        fields["leakage_current"] = residual / 1000
    return fields


def wdyk_4p(frame: bytes) -> Fields:
    """V [0:3], I [3:6], P [6:9]; phase a has two more bytes."""
    return {
        "voltage": number(frame, 0, 3) / 10,
        "current": number(frame, 3, 6) / 1000,
        "active_power": number(frame, 6, 9),
    }


def v01_17(frame: bytes) -> Fields:
    """`01 0F`, V 2, I 3, P 3, Q 3, S 3 bytes, power factor 1 byte in hundredths."""
    return {
        "voltage": number(frame, 2, 4) / 10,
        "current": number(frame, 4, 7) / 1000,
        "active_power": number(frame, 7, 10),
        "reactive_power": number(frame, 10, 13),
        "apparent_power": number(frame, 13, 16),
        "power_factor": frame[16] / 100,
    }


def v02_18(frame: bytes) -> Fields:
    """`02 0F`, as v01, then the signs: bit 0 current, 1 power, 2 reactive, 3 power factor."""
    fields = v01_17(frame)
    signed = ("current", "active_power", "reactive_power", "power_factor")
    for bit, name in enumerate(signed):
        if frame[17] >> bit & 1 and fields[name]:
            fields[name] = -fields[name]
    return fields


def dts_15(frame: bytes) -> Fields:
    """Hiking DDS238, DTS238, Ketotek: direction, P, direction, Q, PF, I, V.

    Bit 0 of [0] and of [4] means reverse; P [1:4] W, Q [5:8] var, PF [8:10] in thousandths,
    I [10:13] mA, V [13:15]. TOMZN's two-phase meter has I in 0.01 A.
    """
    voltage, raw = number(frame, 13, 15) / 10, number(frame, 10, 13)
    power = number(frame, 1, 4)
    plain = number(frame, 5, 10) == 0
    scale = _dts_scale(voltage, raw, power) if plain else 1000
    fields = {
        "voltage": voltage,
        "current": raw / scale,
        "active_power": -power if power and frame[0] & 1 else power,
    }
    if not plain:
        reactive = number(frame, 5, 8)
        fields["reactive_power"] = -reactive if reactive and frame[4] & 1 else reactive
        fields["power_factor"] = number(frame, 8, 10) / 1000
    return fields


def _dts_scale(voltage: float, raw: int, power: float) -> int:
    """Return the steps per ampere: 1000, or 100 if the power is far above what mA allow.

    Without a voltage (TOMZN's second phase) the highest grid voltage is assumed.
    """
    return 100 if power > 1.5 * (voltage or _HIGHEST_GRID_V) * raw / 1000 > 0 else 1000


def earu_15(frame: bytes) -> Fields:
    """As legacy-8, then Q [8:11] in 0.1 var, PF [11:13] in thousandths, f [13:15] in mHz."""
    return legacy_8(frame) | {
        "reactive_power": number(frame, 8, 11) / 10,
        "power_factor": number(frame, 11, 13) / 1000,
        "frequency": number(frame, 13, 15) / 1000,
    }


def misread_v02(fields: Fields) -> Fields | None:
    """Recover a v01 or v02 frame that was read as eight bytes without a header.

    52.7 V is the header `02 0F`, 27.1 V is `01 0F`. Only the power's highest byte is left.
    """
    if not set(_MISREAD) <= fields.keys() or round(fields["voltage"] * 10) not in (0x020F, 0x010F):
        return None
    behind, last = round(fields["current"] * 1000), round(fields["active_power"])
    voltage = (behind >> 8) / 10
    if not _LOWEST_GRID_V <= voltage <= _HIGHEST_GRID_V:
        return None
    return {"voltage": voltage, "current": ((behind & 0xFF) << 16 | last >> 8) / 1000}


def _measured(frame: bytes, current: tuple[int, int], power: tuple[int, int]) -> Fields:
    voltage = number(frame, 0, 2) / 10
    milliamperes, watts = current_and_power(voltage, number(frame, *current), number(frame, *power))
    fields: Fields = {"voltage": voltage}
    if milliamperes is not None:
        fields["current"] = milliamperes / 1000
    if watts is not None:
        fields["active_power"] = watts
    return fields


def current_and_power(voltage: float, current: int, power: int) -> tuple[int | None, int | None]:
    """Return the current in mA and the signed power in W of a frame.

    Both are taken literally if `voltage` (V) allows it. Otherwise the only encoding counts that
    matches voltage x current; if several do with different results, the value is None. If none
    does, both are taken literally.
    """
    if current <= _HIGHEST_MA and allows(voltage * current / 1000, power):
        return current, power
    fitting = {
        (milliamperes, watts)
        for milliamperes, watts in _readings(current, power)
        if milliamperes <= _HIGHEST_MA and _fits(voltage * milliamperes / 1000, watts)
    }
    if not fitting:
        return current, power
    currents, powers = ({one[at] for one in fitting} for at in (0, 1))
    return (
        currents.pop() if len(currents) == 1 else None,
        powers.pop() if len(powers) == 1 else None,
    )


def _readings(current: int, power: int) -> Iterator[tuple[int, int]]:
    """Return the encodings of both, apart from the literal one."""
    if power & _BIT:
        yield current & ~_BIT, _BIT - power
        yield abs(current - _ROUND) if current & _BIT else current, power - _ROUND
        if power < _CUT_OFFSET:
            yield current, power - _CUT_OFFSET
    elif power < _OFFSET:
        yield current, power - _OFFSET
    if not _is_signed(current, power):
        yield current & _LOW, power & _LOW


def _is_signed(current: int, power: int) -> bool:
    """Return whether the high bytes contain only a sign."""
    return power >> 16 == _BIT >> 16 and current >> 16 in (0, _BIT >> 16)


def _fits(apparent: float, watts: int) -> bool:
    """Return whether a power matches V x I (in VA) of the same moment."""
    return _LEAST_FACTOR * apparent - _NOISE <= abs(watts) <= 1.1 * apparent + _NOISE
