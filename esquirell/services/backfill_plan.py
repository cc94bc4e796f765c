"""What to write into Home Assistant's long-term statistics: our hours against its own.

While Home Assistant is down it records nothing. Afterwards it fills the hours that it missed with
its last value: no energy, and a power that never changes. All energy of the outage stands in the
hour of its return. While the broker or the bridge is down those hours have no row at all, and the
energy stands in the first hour that has one again.

A sum is a running total, so that energy moves between hours by changing the sums in between: the
hour of the return keeps its sum, and its own energy becomes what is left. Nothing is added to the
total or taken from it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Literal, NamedTuple

from esquirell.domain.long_term import HOUR, Row, Shift, Write, hours_between

# Below this two figures are the same, in kWh or money: a thousandth is what meters count.
SAME = 0.0005
# Home Assistant samples later than we do: what differs less than this differs by that.
TOLERANCE = 0.05

Reason = Literal["estimated", "unknown", "corrected", "differs", "waiting"]
REASONS: dict[Reason, str] = {
    "estimated": "the energy of this hour was spread over a gap in our readings",
    "unknown": "there are no readings of this hour",
    "corrected": "somebody has corrected this hour or the one that holds its energy",
    "differs": "Home Assistant has another figure than we have, and this is no hole",
    "waiting": "Home Assistant has not recorded the end of this outage yet",
}

Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter at the end of an hour.

    `state` is what Home Assistant would have shown; `position` is the same on a scale that never
    starts again.
    """

    position: float
    state: float
    last_reset: datetime | None = None


@dataclass(frozen=True, slots=True)
class OurCounter:
    """Our hours of one counter.

    `amounts` is what was counted within each hour that was measured, `estimated` the hours of
    which we only know the energy together with others. `positions` returns the counter at the end
    of the measured hours of a span. `place` puts a row of Home Assistant's on the scale of the
    positions, and `booked` is what Home Assistant adds to its sum from one row to a later one.
    A `signed` counter may go down.
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
    """An hour that is filled: what Home Assistant shows for it, None for nothing, and will show."""

    was: float | None
    becomes: float


class Left(NamedTuple):
    """An hour that stays as it is, and why; what Home Assistant shows for it, and what we know."""

    reason: Reason
    theirs: float | None
    ours: float | None


@dataclass(slots=True)
class Plan:
    """What to do to one statistic: the shifts first, then the writes, the latest hours first.

    In that order Home Assistant's total is right after each step, and what is interrupted is
    completed by planning again. Without any row, which is not `recorded`, there is nothing to plan:
    Home Assistant begins its sums by itself.
    """

    shifts: list[Shift] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    filled: dict[datetime, Filled] = field(default_factory=dict)
    left: dict[datetime, Left] = field(default_factory=dict)
    recorded: bool = True

    def ordered(self) -> list[Write]:
        """Return the writes, the latest hours first."""
        return sorted(self.writes, key=lambda write: write.after.start, reverse=True)


def energy_place(row: Row) -> float:
    """Return the position of a counter that never starts again."""
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
    """Plan the hours of a quantity with mean, minimum and maximum; `rows` are in order of time."""
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
                plan.left[hour] = Left(_why(hour, estimated), None, mine.mean if mine else None)
            after_hole = False
        elif hole or (after_hole and not _same_average(row, mine)):
            after = Row(hour, mean=mine.mean, min=mine.min, max=mine.max)
            plan.writes.append(Write(row, after))
            plan.filled[hour] = Filled(row.mean if row else None, mine.mean)
            after_hole = hole
        else:
            after_hole = False
            if row and row.mean is not None and _differs(row.mean, mine.mean, least=1.0):
                plan.left[hour] = Left("differs", row.mean, mine.mean)
    return plan


def plan_counter(rows: Sequence[Row], ours: OurCounter, span: Span) -> Plan:
    """Plan the hours of a counter; `rows` are in order of time and each has a state and a sum.

    An outage is planned as a whole if it begins within `span`, as its energy stands in one place.
    """
    plan = Plan(recorded=bool(rows))
    if not rows:
        return plan
    planner = _Counter(plan, ours)
    planner.begin(rows[0], span)
    for outage in _outages(rows, ours):
        if span[0] <= outage.hours[0] < span[1]:
            planner.fill(outage)
    planner.compare(rows, span)
    return plan


@dataclass(slots=True)
class _Outage:
    """Hours without energy in Home Assistant, between two rows that have some.

    `end` is the row that holds the energy of all; None while there is none.
    """

    before: Row
    hours: list[datetime]
    rows: dict[datetime, Row]
    end: Row | None = None

    @property
    def last_sum(self) -> float:
        """The sum just before the end."""
        last = next(reversed(self.rows.values()), self.before)
        return _sum(last)


def _outages(rows: Sequence[Row], ours: OurCounter) -> Iterator[_Outage]:
    """Yield the stretches of hours in which the counter stands still, or that have no row."""
    outage: _Outage | None = None
    before = rows[0]
    for row in rows[1:]:
        missing = list(hours_between(before.start + HOUR, row.start))
        stands = abs(ours.place(row) - ours.place(before)) < SAME
        if missing or stands:
            outage = outage or _Outage(before, [], {})
            outage.hours += missing
        if stands and outage:
            outage.hours.append(row.start)
            outage.rows[row.start] = row
        elif outage:
            outage.end = row
            yield outage
            outage = None
        before = row
    if outage:
        yield outage


class _Counter:
    """Plans the hours of one counter, in order of time.

    `_shifted` is what the shifts planned so far add to all later sums.
    """

    def __init__(self, plan: Plan, ours: OurCounter) -> None:
        self._plan = plan
        self._ours = ours
        self._shifted = 0.0
        self._moved: set[datetime] = set()

    def begin(self, first: Row, span: Span) -> None:
        """Plan the hours before the first that Home Assistant has.

        Its statistics have to begin with the energy of their first hour: it counts the first sum
        as energy, so that sums below zero would show as a huge export. All its own sums are
        raised instead.
        """
        hours = [one for one in self._ours.amounts if span[0] <= one < min(first.start, span[1])]
        if not hours:
            return
        oldest = min(hours)
        found = self._ours.positions(oldest, max(hours) + HOUR)
        counted = {hour: found[hour] for hour in sorted(hours) if hour in found}
        if not counted:
            return
        oldest = next(iter(counted))
        zero = counted[oldest].position - self._ours.amounts[oldest]
        if not self._ours.signed and not _rises(counted.values(), self._ours.place(first)):
            for hour in counted:
                self._leave(hour, "differs", None)
            return
        before = zero
        for hour, one in counted.items():
            self._write(None, Row(hour, one.state, one.position - zero, one.last_reset))
            self._plan.filled[hour] = Filled(None, one.position - before)
            before = one.position
        self._shift(first.start, self._ours.place(first) - zero - _sum(first))
        self._moved.add(first.start)

    def fill(self, outage: _Outage) -> None:
        """Plan the hours of one outage."""
        holes = [hour for hour in outage.hours if self._is_hole(hour, outage)]
        end = outage.end
        if not holes:
            self._leave_all(outage)
        elif end is None:
            for hour in holes:
                self._leave(hour, "waiting", outage.rows.get(hour))
        elif _unlike(_sum(end) - outage.last_sum, self._ours.booked(outage.before, end)):
            for hour in holes:
                self._leave(hour, "corrected", outage.rows.get(hour))
        else:
            self._fill(outage, end)

    def compare(self, rows: Sequence[Row], span: Span) -> None:
        """List the hours that are no holes, and in which Home Assistant has another figure."""
        for before, row in pairwise(rows):
            hour = row.start
            if hour - before.start != HOUR or not span[0] <= hour < span[1]:
                continue
            if hour in self._moved or hour in self._plan.filled or hour in self._plan.left:
                continue
            change, mine = _sum(row) - _sum(before), self._ours.amounts.get(hour)
            if mine is not None and _differs(change, mine, least=TOLERANCE):
                self._plan.left[hour] = Left("differs", change, mine)

    def _fill(self, outage: _Outage, end: Row) -> None:
        steps = _Steps(self._ours, outage)
        gained = self._ours.place(end) - self._ours.place(outage.before)
        # What Home Assistant has not booked, as its counter started again during the outage.
        lost = gained - self._ours.booked(outage.before, end)
        if not self._ours.signed and _sum(end) - steps.sum < -SAME:
            for hour in steps.filled:
                self._leave(hour, "corrected", outage.rows.get(hour))
            return
        for write in steps.writes:
            self._write(write.before, write.after)
        self._plan.filled |= steps.filled
        for hour, reason in steps.left.items():
            self._leave(hour, reason, outage.rows.get(hour))
        self._shift(end.start, lost)
        self._moved.add(end.start)

    def _write(self, before: Row | None, after: Row) -> None:
        shifted = self._shifted
        before = before and replace(before, sum=_sum(before) + shifted)
        self._plan.writes.append(Write(before, replace(after, sum=_sum(after) + shifted)))

    def _shift(self, start: datetime, amount: float) -> None:
        if abs(amount) >= SAME:
            self._plan.shifts.append(Shift(start, amount))
            self._shifted += amount

    def _is_hole(self, hour: datetime, outage: _Outage) -> bool:
        amount = self._ours.amounts.get(hour)
        return amount is not None and (hour not in outage.rows or abs(amount) >= SAME)

    def _leave_all(self, outage: _Outage) -> None:
        for hour in outage.hours:
            if hour not in outage.rows or hour in self._ours.estimated:
                self._leave(hour, _why(hour, self._ours.estimated), outage.rows.get(hour))

    def _leave(self, hour: datetime, reason: Reason, row: Row | None) -> None:
        shown = 0.0 if row else None
        self._plan.left[hour] = Left(reason, shown, self._ours.amounts.get(hour))


class _Steps:
    """The rows of an outage as they will be: each hour has its own energy.

    An hour that we did not measure keeps what it shows; its energy stays with the next that we
    did, as Home Assistant itself would have it. One that somebody corrected keeps its figure, too.
    """

    def __init__(self, ours: OurCounter, outage: _Outage) -> None:
        self.writes: list[Write] = []
        self.filled: dict[datetime, Filled] = {}
        self.left: dict[datetime, Reason] = {}
        self._ours = ours
        self._at = Counted(
            ours.place(outage.before), outage.before.state or 0.0, outage.before.last_reset
        )
        self._old = self.sum = _sum(outage.before)
        counted = ours.positions(outage.hours[0], outage.hours[-1] + HOUR)
        for hour in outage.hours:
            self._take(hour, outage.rows.get(hour), counted.get(hour))

    def _take(self, hour: datetime, row: Row | None, counted: Counted | None) -> None:
        shown = _sum(row) - self._old if row else 0.0
        known = counted if counted and self._is_ahead(counted) else None
        if row and abs(shown) >= SAME:
            self.left[hour] = "corrected"
            self._step(row, known or self._at, shown)
        elif known is None or hour not in self._ours.amounts:
            if row is None or hour in self._ours.estimated:
                self.left[hour] = _why(hour, self._ours.estimated)
            if row:
                self._step(row, self._at, 0.0)
        else:
            change = known.position - self._at.position
            if row is None or change >= SAME or change <= -SAME:
                self.filled[hour] = Filled(0.0 if row else None, change)
            self._step(row, known, change, hour)
        if row:
            self._old = _sum(row)

    def _step(
        self, row: Row | None, at: Counted, change: float, hour: datetime | None = None
    ) -> None:
        self.sum += change
        self._at = at
        start = row.start if row else hour
        assert start is not None  # noqa: S101 - one of the two is given; for the type checker
        after = Row(start, at.state, self.sum, at.last_reset)
        if row is None or abs(_sum(row) - self.sum) >= SAME or _unlike(row.state or 0.0, at.state):
            self.writes.append(Write(row, after))

    def _is_ahead(self, counted: Counted) -> bool:
        return self._ours.signed or counted.position >= self._at.position - SAME


def _rises(counted: Iterable[Counted], end: float) -> bool:
    places = [*(one.position for one in counted), end]
    return all(after - before > -SAME for before, after in pairwise(places))


def _why(hour: datetime, estimated: Collection[datetime]) -> Reason:
    return "estimated" if hour in estimated else "unknown"


def _sum(row: Row) -> float:
    return row.sum or 0.0


def _unlike(one: float, other: float) -> bool:
    return abs(one - other) >= SAME


def _differs(theirs: float, ours: float, least: float) -> bool:
    return abs(theirs - ours) > max(least, TOLERANCE * max(abs(theirs), abs(ours)))


def _same_average(row: Row | None, ours: Average) -> bool:
    return row is not None and (row.mean, row.min, row.max) == tuple(ours)
