"""Currents and powers of three bytes: devices write signs in several ways, physics tells which.

Seen are a bit before the magnitude, two's complement, and an offset of a tenth of 2^24, which is
what is left of a negative number of tenths that was divided without its sign
(zigbee-herdsman-converters #12927). Chargers keep other things in the high bytes.
"""

from collections.abc import Iterator

from esquirell.domain.plausibility import allows

_BIT = 1 << 23
_ROUND = 1 << 24
_OFFSET = 0x19999A
_LOW = 0xFFFF
# A current that no phase of a house has: its high byte holds something else.
_HIGHEST_MA = 655_350
_LEAST_FACTOR = 0.2
_NOISE = 5


def current_and_power(voltage: float, current: int, power: int) -> tuple[int | None, int | None]:
    """Return the current in mA and the power in W that a frame holds, with the power's sign.

    Both are taken as they stand where `voltage` (V) allows it. Otherwise the only way of writing
    them counts that makes the power one of this voltage and current; what several ways read
    differently is None. Where none fits they are as they stand.
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
    """Return the ways to read both, apart from the plain one."""
    if power & _BIT:
        yield current & ~_BIT, _BIT - power
        yield abs(current - _ROUND) if current & _BIT else current, power - _ROUND
    elif power < _OFFSET:
        yield current, power - _OFFSET
    if not _is_signed(current, power):
        yield current & _LOW, power & _LOW


def _is_signed(current: int, power: int) -> bool:
    """Return whether the high bytes hold a sign and nothing else."""
    return power >> 16 == _BIT >> 16 and current >> 16 in (0, _BIT >> 16)


def _fits(apparent: float, watts: int) -> bool:
    """Return whether a power is one that V x I (in VA) of the same moment can have."""
    return _LEAST_FACTOR * apparent - _NOISE <= abs(watts) <= 1.1 * apparent + _NOISE
