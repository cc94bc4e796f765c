"""The table of frames: name, lengths in bytes, how to unpack one, what it holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from esquirell.domain.frames import circuits, inverter, phase
from esquirell.domain.frames.phase import Fields

_VIP = ("voltage", "current", "active_power")
_FULL = (*_VIP, "reactive_power", "apparent_power", "power_factor")
_ABC = ("a", "b", "c")
_SIXTEEN = range(1, 17)


@dataclass(frozen=True, slots=True)
class Codec:
    """How to unpack a frame of one of `lengths` bytes; `holds` names its quantities."""

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
    "inverter-ac-10": Codec((10,), inverter.ac_10, (*_VIP, "frequency")),
    "inverter-dc-6": Codec((6,), inverter.dc_6),
    "lidl-13": Codec((13,), inverter.lidl_13, tuple(f"{q}_{n}" for n in "12" for q in _VIP)),
    "voltages-6": Codec((6,), circuits.voltages_6, tuple(f"voltage_{n}" for n in _ABC)),
    "currents-9": Codec((9,), circuits.currents_9, tuple(f"current_{n}" for n in _ABC)),
    "powers-12": Codec(
        (12,), circuits.powers_12, ("active_power", *(f"active_power_{n}" for n in _ABC))
    ),
    "earu-le-13": Codec((13,), circuits.earu_le_13),
    "earu-le-9": Codec((9,), circuits.earu_le_9, ("current", "active_power")),
    "earu-le-81-powers": Codec(
        (81,), circuits.earu_le_81_powers, tuple(f"active_power_{n}" for n in _SIXTEEN)
    ),
    "earu-le-81-currents": Codec(
        (81,), circuits.earu_le_81_currents, tuple(f"current_{n}" for n in _SIXTEEN)
    ),
}
