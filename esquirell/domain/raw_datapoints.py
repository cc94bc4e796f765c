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

    `refresh` lists DPs to ask for by UPDATEDPS first, `ids` those that its profile names, and of
    them `counters` those that count. `increments` are DPs that hold what was counted since the
    report before: only reports of them tell anything. `forced` asks also while the meter is left
    alone after failures.
    """

    meter: Meter
    refresh: tuple[int, ...] = ()
    ids: frozenset[str] = frozenset()
    counters: frozenset[str] = frozenset()
    increments: frozenset[str] = frozenset()
    forced: bool = False


@record
class RawDatapoints:
    """The datapoints that a meter sent and that still hold.

    `values` are by DP id, or by code where the cloud knows no ids; `oldest_s` is the age of the
    oldest of them. `partial`: it did not answer, but reported something meanwhile. `push`: whether
    its connection is kept open. `increments` adds up what was reported of each DP that holds an
    increment since the last time, `interrupted` says that a report may have been missed since.
    """

    values: Mapping[str, Any]
    oldest_s: float = 0.0
    partial: bool = False
    push: Push = "off"
    increments: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False
