"""Home Assistant's long-term statistics: one row per hour and sensor, kept forever.

Its hours are UTC hours. All figures here are in the canonical unit of their quantity, whatever
unit Home Assistant stores.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from esquirell.domain.record import record

HOUR = timedelta(hours=1)


class Scale(NamedTuple):
    """Converts figures between the canonical unit and another one."""

    factor: float
    offset: float = 0.0

    def to(self, figure: float) -> float:
        """Convert a figure from the canonical unit."""
        return figure * self.factor + self.offset

    def back(self, figure: float) -> float:
        """Convert a figure to the canonical unit."""
        return (figure - self.offset) / self.factor


@record
class KeptStatistic:
    """A statistic in Home Assistant: `name` is its entity id.

    `counts`: it has a sum instead of a mean; `scale` converts its figures. `metadata` is sent with
    each import, as it would replace the statistic's own.
    """

    name: str
    counts: bool
    unit: str | None
    metadata: Mapping[str, object]
    scale: Scale


@record
class Row:
    """Home Assistant's row of the hour that begins at `start`.

    A counter has `state`, its value at the end of the hour, and `sum`, the total counted since Home
    Assistant first saw it; `last_reset` is when a daily or monthly counter last restarted. Other
    sensors have `mean`, `min` and `max`.
    """

    start: datetime
    state: float | None = None
    sum: float | None = None
    last_reset: datetime | None = None
    mean: float | None = None
    min: float | None = None
    max: float | None = None


@record
class Write:
    """A row to write, and the row it replaces; None if there is none."""

    before: Row | None
    after: Row


@record
class Shift:
    """An amount to add to the sums of an hour and all later ones."""

    start: datetime
    amount: float


@record
class Step:
    """A step of a backfill, recorded before it is done: a shift, or the writes of one statistic.

    `done`: Home Assistant was seen to have it. `sum_before` is the sum of the shifted hour before
    the shift, `undo_from` before its undoing.
    """

    id: int
    meter: str
    key: str
    done: bool = False
    shift: Shift | None = None
    sum_before: float | None = None
    undo_from: float | None = None
    writes: Sequence[Write] = ()


def whole_hour(moment: datetime) -> datetime:
    """Return the start of the UTC hour that contains a moment."""
    return moment - timedelta(
        minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
    )


def hours_between(since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the hours that begin from `since`, itself a whole hour, until just before `until`."""
    while since < until:
        yield since
        since += HOUR
