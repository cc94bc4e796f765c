"""Plans what to write into Home Assistant's long-term statistics: our hours against its own.

While Home Assistant is down it records nothing. Afterwards it fills the missed hours with its last
value: no energy, and a constant power. All energy of the outage is in the hour of its return.
While the broker or the bridge is down those hours have no row at all, and the energy is in the
first hour that has one again.

A sum is a running total, so energy is moved between hours by changing the sums in between: the
hour of the return keeps its sum, and the rest becomes its own energy. The total stays the same.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from esquirell.domain.long_term import HOUR, KeptStatistic, Row, Shift, Step, Write, hours_between
from esquirell.domain.record import record

# Home Assistant samples later than we do, which explains smaller differences.
TOLERANCE = 0.05

Reason = Literal["estimated", "unknown", "corrected", "differs", "waiting"]
REASONS: dict[Reason, str] = {
    "estimated": "the energy of this hour was spread over a gap in our readings",
    "unknown": "we have no readings of this hour",
    "corrected": "this hour, or the one that contains its energy, was corrected by hand",
    "differs": "Home Assistant has a different figure, and this is not a hole",
    "waiting": "Home Assistant has not recorded the end of this outage yet",
}

Span = tuple[datetime, datetime]


@record
class Sensor:
    """A sensor of ours in Home Assistant: a quantity key of a meter, or one of its costs.

    `unique_id` identifies it in Home Assistant, `unit` is the canonical one.
    """

    meter: str
    key: str
    unique_id: str
    unit: str


class LongTerm(Protocol):
    """Home Assistant's long-term statistics; each method may raise UnavailableError.

    Figures are in the canonical unit of their sensor. What it has accepted is stored within
    `written_within_s` seconds.
    """

    written_within_s: float

    def may_write(self) -> bool:
        """Return whether rows may be written with this token."""

    def find(self, units: Mapping[str, str]) -> Mapping[str, KeptStatistic | str]:
        """Return the statistics of sensors by their unique ids, or a sentence why not."""

    def is_unchanged(self, kept: KeptStatistic) -> bool:
        """Return whether a statistic is described as when it was found."""

    def hours(self, kept: KeptStatistic, since: datetime, until: datetime) -> list[Row]:
        """Return the rows of a span, in order of time."""

    def last_before(self, kept: KeptStatistic, moment: datetime) -> Row | None:
        """Return the last row before a moment."""

    def write(self, kept: KeptStatistic, rows: Sequence[Row]) -> None:
        """Write rows over those of their hours. Raises HomeAssistantError."""

    def shift(self, kept: KeptStatistic, shift: Shift) -> None:
        """Add to the sums from an hour on. Raises HomeAssistantError."""

    def remove(self, kept: KeptStatistic, hours: Sequence[datetime]) -> None:
        """Remove the rows of hours. Raises HomeAssistantError."""


OpenLongTerm = Callable[[], AbstractContextManager[LongTerm]]
"""Connects to Home Assistant. Raises ConfigError and UnavailableError."""


class Journal(Protocol):
    """Records the steps of backfills for undoing; each method may raise UnavailableError."""

    def keep(self, run: str, at: datetime, step: Step) -> int:
        """Keep a step before it is done; return its number. That of `step` does not count."""

    def confirm(self, number: int) -> None:
        """Record that a step was done."""

    def last_run(self) -> tuple[datetime, list[Step]] | None:
        """Return the last run that was not undone, its latest step first, and when it was."""

    def undoing(self, number: int, sum_before: float) -> None:
        """Record that a shift is about to be undone, and the sum of its hour."""

    def undone(self, number: int) -> None:
        """Record that a step was undone."""


@record
class Counted:
    """A counter at the end of an hour.

    `state` is what Home Assistant would have shown; `position` is the same without restarts.
    """

    position: float
    state: float
    last_reset: datetime | None = None


@record
class OurCounter:
    """Our hours of one counter.

    `amounts` are the energies of measured hours, `estimated` the hours whose energy is known only
    together with others. `positions` returns the counter at the end of the measured hours of a
    span. `place` converts a row of Home Assistant's to the scale of the positions, and `booked`
    returns what Home Assistant adds to its sum from one row to a later one. A `signed` counter may
    go down.
    """

    amounts: Mapping[datetime, float]
    estimated: Collection[datetime]
    positions: Callable[[datetime, datetime], Mapping[datetime, Counted]]
    place: Callable[[Row], float]
    booked: Callable[[Row, Row], float]
    signed: bool = False


class Average(NamedTuple):
    """Mean, minimum and maximum of an hour."""

    mean: float
    min: float
    max: float


class Filled(NamedTuple):
    """An hour to fill: what Home Assistant shows for it (None for nothing), and will show."""

    was: float | None
    becomes: float


class SkippedHour(NamedTuple):
    """An hour that is left alone, with the reason, Home Assistant's figure and ours."""

    reason: Reason
    theirs: float | None
    ours: float | None


@dataclass(slots=True)
class Plan:
    """The changes to one statistic: shifts first, then writes, latest hours first.

    In this order Home Assistant's total is right after each step, and an interrupted plan is
    completed by planning again. If nothing is `recorded` there is nothing to plan: Home Assistant
    will begin its sums itself.
    """

    shifts: list[Shift] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    filled: dict[datetime, Filled] = field(default_factory=dict)
    left: dict[datetime, SkippedHour] = field(default_factory=dict)
    recorded: bool = True

    def ordered(self) -> list[Write]:
        """Return the writes, the latest hours first."""
        return sorted(self.writes, key=lambda write: write.after.start, reverse=True)


def energy_place(row: Row) -> float:
    """Return the position of a counter that never restarts."""
    return row.state or 0.0


def energy_booked(earlier: Row, later: Row) -> float:
    """Return what Home Assistant adds to the sum of such a counter between two rows."""
    return energy_place(later) - energy_place(earlier)


def plan_averages(
    rows: Sequence[Row],
    ours: Mapping[datetime, Average],
    estimated: Collection[datetime],
    span: Span,
) -> Plan:
    """Plan the hours of a quantity with mean, minimum and maximum; `rows` are in time order."""
    plan = Plan(recorded=bool(rows))
    if not rows:
        return plan
    known = {row.start: row for row in rows}
    first = min([rows[0].start, *(hour for hour in ours if span[0] <= hour)])
    after_hole = False
    for hour in hours_between(max(first, span[0]), min(rows[-1].start + HOUR, span[1])):
        row, mine = known.get(hour), ours.get(hour)
        hole = row is None or (row.min == row.max and mine is not None and mine.min < mine.max)
        if mine is None or hour in estimated:
            if row is None and hour > rows[0].start:
                plan.left[hour] = SkippedHour(
                    why(hour, estimated), None, mine.mean if mine else None
                )
            after_hole = False
        elif hole or (after_hole and not _same_average(row, mine)):
            after = Row(hour, mean=mine.mean, min=mine.min, max=mine.max)
            plan.writes.append(Write(row, after))
            plan.filled[hour] = Filled(row.mean if row else None, mine.mean)
            after_hole = hole
        else:
            after_hole = False
            if row and row.mean is not None and differs(row.mean, mine.mean, least=1.0):
                plan.left[hour] = SkippedHour("differs", row.mean, mine.mean)
    return plan


def why(hour: datetime, estimated: Collection[datetime]) -> Reason:
    """Return why we have no figure for an hour."""
    return "estimated" if hour in estimated else "unknown"


def _same_average(row: Row | None, ours: Average) -> bool:
    return row is not None and (row.mean, row.min, row.max) == tuple(ours)


def differs(theirs: float, ours: float, least: float) -> bool:
    """Whether two figures differ by more than `least` and the tolerance."""
    return abs(theirs - ours) > max(least, TOLERANCE * max(abs(theirs), abs(ours)))
