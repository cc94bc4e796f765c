"""Readings whose time is not known yet, because the clock was wrong."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from esquirell.domain.device import Instrument
from esquirell.domain.record import record

# Placed just before the next start of the machine: a power cut is followed by one.
_BEFORE = timedelta(seconds=1)


@record
class Undated:
    """A reading as the meter gave it, before it is judged, and when by a clock that is not set.

    `boot` names the start of the machine, `uptime_s` is how long it ran then, `instrument` what
    is to be known of the device.
    """

    boot: str
    uptime_s: float
    values: Mapping[str, float]
    instrument: Instrument


class Mark(NamedTuple):
    """When a reading that waits was taken: its number there, and the machine's time.

    `shown` is what the clock showed, in seconds of unix time.
    """

    number: int
    boot: str
    uptime_s: float
    shown: float


@record
class Present:
    """This moment: by a clock that is right, and by how long the machine has run."""

    now: datetime
    boot: str
    uptime_s: float

    @property
    def started(self) -> datetime:
        """When the machine was started."""
        return self.now - timedelta(seconds=self.uptime_s)


def dated(marks: Sequence[Mark], present: Present) -> dict[int, datetime]:
    """Return when each reading was taken, by its number; `marks` are in the order of time.

    In this run of the machine the time since then is known. Readings of an earlier run keep the
    time between them, and end right before the next run began.
    """
    moments: dict[int, datetime] = {}
    end, boot, last_s = present.now, present.boot, present.uptime_s
    for mark in reversed(marks):
        if mark.boot != boot:
            begun = min(end, present.started) if boot == present.boot else end
            end, boot, last_s = begun - _BEFORE, mark.boot, mark.uptime_s
        end -= timedelta(seconds=max(0.0, last_s - mark.uptime_s))
        last_s = mark.uptime_s
        moments[mark.number] = end.replace(microsecond=end.microsecond // 1000 * 1000)
    return moments
