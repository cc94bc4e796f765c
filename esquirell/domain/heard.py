"""What is asked of a meter, and what it said: raw datapoints, before their meaning is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from esquirell.domain.meter import Meter
from esquirell.domain.record import record

Push = Literal["on", "off", "suspended"]


@dataclass(frozen=True, slots=True)
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
class Heard:
    """All that a meter said and that is still to be believed.

    `values` are by DP id, or by code where the cloud knows no ids; `oldest_s` is the age of the
    oldest of them. `partial`: it answered nothing, and reported something meanwhile. `push` says
    whether its line is held. `increments` adds up what was reported of each DP that holds an
    increment since the last time, `interrupted` says that a report may have been missed since.
    """

    values: Mapping[str, Any]
    oldest_s: float = 0.0
    partial: bool = False
    push: Push = "off"
    increments: Mapping[str, int] = field(default_factory=dict)
    interrupted: bool = False
