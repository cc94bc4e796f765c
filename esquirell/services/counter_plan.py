"""Plans a counter: the energy of an outage is assigned to the hours that used it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from esquirell.domain.long_term import HOUR, Row, Shift, Write, hours_between
from esquirell.services.backfill_plan import (
    TOLERANCE,
    Counted,
    Filled,
    OurCounter,
    Plan,
    Reason,
    SkippedHour,
    Span,
    differs,
    why,
)

# Smaller differences, in kWh or money, do not count: meters count thousandths.
SAME = 0.0005


def plan_counter(rows: Sequence[Row], ours: OurCounter, span: Span) -> Plan:
    """Plan the hours of a counter; `rows` are in time order, each with a state and a sum.

    An outage that begins within `span` is planned as a whole, as its energy is in one row.
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

    `end` is the row that contains the energy of all; None if there is none yet.
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
    """Yield the stretches of hours without a row, or in which the counter does not change."""
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
    """Plans the hours of one counter, in time order.

    `_shifted` is what the shifts planned so far add to all later sums.
    """

    def __init__(self, plan: Plan, ours: OurCounter) -> None:
        self._plan = plan
        self._ours = ours
        self._shifted = 0.0
        self._moved: set[datetime] = set()

    def begin(self, first: Row, span: Span) -> None:
        """Plan the hours before the first row of Home Assistant.

        Its statistics have to begin with the energy of their first hour: it counts the first sum as
        energy, so that sums below zero would look like a huge export. All its own sums are raised
        instead.
        """
        hours = [hour for hour in self._ours.amounts if span[0] <= hour < min(first.start, span[1])]
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
        for hour, count in counted.items():
            self._write(None, Row(hour, count.state, count.position - zero, count.last_reset))
            self._plan.filled[hour] = Filled(None, count.position - before)
            before = count.position
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
        """List the hours that are not holes but have a different figure in Home Assistant."""
        for before, row in pairwise(rows):
            hour = row.start
            if hour - before.start != HOUR or not span[0] <= hour < span[1]:
                continue
            if hour in self._moved or hour in self._plan.filled or hour in self._plan.left:
                continue
            change, mine = _sum(row) - _sum(before), self._ours.amounts.get(hour)
            if mine is not None and differs(change, mine, least=TOLERANCE):
                self._plan.left[hour] = SkippedHour("differs", change, mine)

    def _fill(self, outage: _Outage, end: Row) -> None:
        steps = _Steps(self._ours, outage)
        gained = self._ours.place(end) - self._ours.place(outage.before)
        # Energy not booked by Home Assistant, as its counter restarted during the outage.
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
                self._leave(hour, why(hour, self._ours.estimated), outage.rows.get(hour))

    def _leave(self, hour: datetime, reason: Reason, row: Row | None) -> None:
        shown = 0.0 if row else None
        self._plan.left[hour] = SkippedHour(reason, shown, self._ours.amounts.get(hour))


class _Steps:
    """The rows of an outage as they should be: each hour with its own energy.

    An hour that we did not measure keeps its figure; its energy stays with the next measured hour,
    as Home Assistant would do it. An hour corrected by hand keeps its figure, too.
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
                self.left[hour] = why(hour, self._ours.estimated)
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
    places = [*(count.position for count in counted), end]
    return all(after - before > -SAME for before, after in pairwise(places))


def _sum(row: Row) -> float:
    return row.sum or 0.0


def _unlike(one: float, other: float) -> bool:
    return abs(one - other) >= SAME
