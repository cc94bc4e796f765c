"""What is asked of a meter, and what it said: raw datapoints, before their meaning is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from esquirell.domain.meter import Meter

Push = Literal["on", "off", "suspended"]


@dataclass(frozen=True, slots=True)
class Question:
    """Asks for the datapoints of a meter.

    `refresh` lists DPs to ask for by UPDATEDPS first, `ids` those that its profile names, and of
    them `counters` those that count. `forced` asks also while the meter is left alone after
    failures.
    """

    meter: Meter
    refresh: tuple[int, ...] = ()
    ids: frozenset[str] = frozenset()
    counters: frozenset[str] = frozenset()
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """All that a meter said and that is still to be believed.

    `values` are by DP id, or by code where the cloud knows no ids; `oldest_s` is the age of the
    oldest of them. `partial`: it answered nothing, and reported something meanwhile. `push` says
    whether its line is held.
    """

    values: Mapping[str, Any]
    oldest_s: float = 0.0
    partial: bool = False
    push: Push = "off"
