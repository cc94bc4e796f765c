"""What to ask a meter for, and what it sent: raw datapoints, before they are decoded."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from esquirell.domain.meter import Meter
from esquirell.domain.record import record

Push = Literal["on", "off", "suspended"]


@record
class Question:
    """Asks for the datapoints of a meter.

    `refresh` lists DPs to request by UPDATEDPS first, `ids` those that its profile names,
    `counters` the counters among them. `increments` are DPs that hold the energy since the last
    report: only reports of them count. A `forced` question is asked even while the meter is cooling
    down.
    """

    meter: Meter
    refresh: tuple[int, ...] = ()
    ids: frozenset[str] = frozenset()
    counters: frozenset[str] = frozenset()
    increments: frozenset[str] = frozenset()
    forced: bool = False


@record
class RawDatapoints:
    """The datapoints of a meter that still hold.

    `values` are by DP id, or by code if the cloud knows no ids; `oldest_s` is the age of the
    oldest. `partial`: it did not answer, but reported something meanwhile. `push`: whether its
    connection is held open. `increments` has the sum of each DP's increments since the last time;
    `interrupted`: a report may have been missed since then.
    """

    values: Mapping[str, Any]
    oldest_s: float = 0.0
    partial: bool = False
    push: Push = "off"
    increments: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False
