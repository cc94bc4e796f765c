"""Home Assistant's long-term statistics: one row an hour and sensor, kept for ever.

Its hours are those of UTC. All figures here are in the canonical unit of their quantity, whatever
unit Home Assistant keeps them in.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from esquirell.domain.record import record

HOUR = timedelta(hours=1)


class Scale(NamedTuple):
    """How a figure in another unit is made of one in the canonical unit."""

    factor: float
    offset: float = 0.0

    def to(self, figure: float) -> float:
        """Return a figure of the canonical unit in the other unit."""
        return figure * self.factor + self.offset

    def back(self, figure: float) -> float:
        """Return a figure of the other unit in the canonical unit."""
        return (figure - self.offset) / self.factor


@record
class KeptStatistic:
    """A statistic that Home Assistant keeps: `name` is the id of its entity.

    `counts` is whether it has a sum, and not a mean; `scale` says how its figures are kept.
    `metadata` goes with each import: it would become the statistic's own.
    """

    name: str
    counts: bool
    unit: str | None
    metadata: Mapping[str, object]
    scale: Scale


@record
class Row:
    """What Home Assistant keeps of the hour that begins at `start`.

    A counter has `state`, its value at the end of the hour, and `sum`, what was counted since
    Home Assistant has known it; `last_reset` is when a counter that starts again each day or month
    did so. Anything else has `mean`, `min` and `max`.
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
    """A row to write, and the row that it takes the place of; None where there is none."""

    before: Row | None
    after: Row


@record
class Shift:
    """An amount to add to the sum of one hour and of all after it."""

    start: datetime
    amount: float


@record
class Step:
    """A step of a backfill, kept before it is done: a shift, or writes of one statistic.

    `done` is set when Home Assistant was seen to have it. `sum_before` is that of the hour of the
    shift, `undo_from` the same when the shift was about to be undone.
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
