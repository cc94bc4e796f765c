"""Corrections of stored data: what they affect, before and after they are made."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal

from esquirell.domain.reading import iso
from esquirell.domain.record import record

# "future": readings in the future of a correct clock.
What = Literal["remove", "restamp", "future", "counter"]


@record
class Span:
    """Readings of a meter, from `since` until just before `until`."""

    meter: str
    since: datetime
    until: datetime


@record
class Correction:
    """What a correction affects: the number of readings, and the `first` and `last` moment.

    `sums` has the first and the last sum (kWh) of each counter among them; for a counter whose
    offset is reset, the sums before and after that. `to` is the new time of the first reading, if
    they are moved.
    """

    meter: str
    what: What
    readings: int = 0
    first: datetime | None = None
    last: datetime | None = None
    to: datetime | None = None
    sums: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to correct."""
        return not self.readings and not self.sums

    def payload(self) -> dict[str, Any]:
        moments = {"first": self.first, "last": self.last, "to": self.to}
        return {
            "meter": self.meter,
            "what": self.what,
            "readings": self.readings,
            **{name: iso(moment) for name, moment in moments.items() if moment},
            "sums": {key: list(ends) for key, ends in self.sums.items()},
        }
