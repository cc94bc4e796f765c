"""What is known about a device: its product, and how to judge its values."""

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

from esquirell.domain.inversion import Invert
from esquirell.domain.record import record


@record
class Device:
    """A product and its datapoints, as described by Tuya's cloud or a `devices.json`.

    `mapping` has the datapoints by DP id (`code`, `type`, `values`), `spec` those without a known
    DP id by code (`type`, `values`). `mac` and `serial` are the hardware's.
    """

    product_id: str = ""
    category: str = ""
    product_name: str = ""
    mapping: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    mac: str = ""
    serial: str = ""


@record
class Instrument:
    """A device for judging its readings: `source` names it, `keys` are its possible quantities.

    `invert` lists the values whose sign is changed, `adds` the counters to which its reports add
    while its connection is held open.
    """

    source: str
    keys: Collection[str] = ()
    invert: Invert = False
    adds: Collection[str] = ()
