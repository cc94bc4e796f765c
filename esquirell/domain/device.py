"""What is known of a device beside its values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Device:
    """A product and its datapoints, as Tuya's cloud or a `devices.json` describes them.

    `mapping` has the datapoints by DP id (`code`, `type`, `values`), `spec` those without a
    known DP id by code (`type`, `values`). `mac` and `serial` are those of the hardware.
    """

    product_id: str = ""
    category: str = ""
    product_name: str = ""
    mapping: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    mac: str = ""
    serial: str = ""
