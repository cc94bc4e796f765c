"""Corrections of what is stored: what they concern, before they are made and afterwards."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal

from esquirell.domain.reading import iso
from esquirell.domain.record import record

# "future": readings that lay in the future of a clock that is right.
What = Literal["remove", "restamp", "future", "counter"]


@record
class Span:
    """Readings of a meter, from `since` until just before `until`."""

    meter: str
    since: datetime
    until: datetime


@record
class Correction:
    """What is corrected: so many readings, from the `first` moment to the `last`.

    `sums` has the first and the last sum (kWh) of each counter among them. Of a counter whose
    offset is forgotten it is the sum before and after that. `to` is when the first of the
    readings was taken, where they are put at another time.
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
        """Return it as JSON."""
        moments = {"first": self.first, "last": self.last, "to": self.to}
        return {
            "meter": self.meter,
            "what": self.what,
            "readings": self.readings,
            **{name: iso(moment) for name, moment in moments.items() if moment},
            "sums": {key: list(ends) for key, ends in self.sums.items()},
        }
