"""Units as makers write them, and their size in canonical units.

The spellings are those of 10,000 product schemas: 26 of the kilowatt-hour alone.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

from esquirell.domain.record import record

Dimension = Literal[
    "energy", "power", "reactive", "apparent", "voltage", "current", "frequency", "temperature",
    "share", "other", "reactive energy", "fahrenheit", "time",
]  # fmt: skip


@record
class Unit:
    """What a unit measures, and its size in the canonical one (V, A, W, var, kWh, Hz, °C)."""

    dimension: Dimension
    size: float = 1


_UNITS: Mapping[str, Unit] = {
    "kwh": Unit("energy"),
    "度": Unit("energy"),
    "wh": Unit("energy", 1e-3),
    "mwh": Unit("energy", 1e3),
    "kvarh": Unit("reactive energy"),
    "varh": Unit("reactive energy"),
    "w": Unit("power"),
    "watt": Unit("power"),
    "watts": Unit("power"),
    "kw": Unit("power", 1e3),
    "var": Unit("reactive"),
    "kvar": Unit("reactive", 1e3),
    "va": Unit("apparent"),
    "kva": Unit("apparent", 1e3),
    "v": Unit("voltage"),
    "volt": Unit("voltage"),
    "volts": Unit("voltage"),
    "vac": Unit("voltage"),
    "vdc": Unit("voltage"),
    "mv": Unit("voltage", 1e-3),
    "kv": Unit("voltage", 1e3),
    "a": Unit("current"),
    "ma": Unit("current", 1e-3),
    "amp": Unit("current"),
    "amps": Unit("current"),
    "hz": Unit("frequency"),
    "c": Unit("temperature"),
    "degc": Unit("temperature"),
    "cf": Unit("temperature"),
    "f": Unit("fahrenheit"),
    "摄氏度": Unit("temperature"),
    "%": Unit("share"),
    "pf": Unit("share", 100),
    **dict.fromkeys(["s", "sec", "min", "h", "hour", "hours", "d", "day", "days"], Unit("time")),
    **dict.fromkeys(["秒", "分", "分钟", "时", "小时", "天"], Unit("time")),
}
# "*0.01kW·h" with scale 2 and "*01kW" with scale 1 say the same thing twice: the scale counts.
_FACTOR = re.compile(r"^\*[0-9.]+")
_NO_PART = re.compile(r"[^0-9a-z%\u4e00-\u9fff]+")


def unit_of(text: str) -> Unit | None:
    """Parse a unit in any spelling; None if there is none.

    `mW` is a milliwatt and `MW` a megawatt: no meter is known to use either, both are "other".
    """
    plain = _FACTOR.sub("", unicodedata.normalize("NFKC", text).strip())
    letters = _NO_PART.sub("", plain.lower())
    if not letters or letters in ("na", "none"):
        return None
    return _UNITS.get(letters, Unit("other"))
