"""Home Assistant's long-term statistics of one counter, as its recorder keeps them, in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from esquirell.domain.long_term import HOUR, Row, Shift, Write
from esquirell.services.backfill_plan import (
    Counted,
    OurCounter,
    Plan,
    energy_booked,
    energy_place,
)

START = datetime(2026, 11, 22, tzinfo=UTC)


def at(hour: int) -> datetime:
    return START + hour * HOUR


def energy(
    used: Mapping[int, float], begins: float = 1000.0, estimated: Collection[int] = ()
) -> OurCounter:
    """Build our hours of an energy: kWh by the number of the hour; those not named are unknown."""
    counted: dict[datetime, Counted] = {}
    position = begins
    for hour in sorted(used):
        position += used[hour]
        if hour not in estimated:
            counted[at(hour)] = Counted(position, position)

    def positions(since: datetime, until: datetime) -> Mapping[datetime, Counted]:
        return {hour: one for hour, one in counted.items() if since <= hour < until}

    return OurCounter(
        {at(hour): kwh for hour, kwh in used.items() if hour not in estimated},
        {at(hour) for hour in estimated},
        positions,
        energy_place,
        energy_booked,
    )


class Recorder:
    """Rows of hours; `apply` takes what is planned as Home Assistant would."""

    def __init__(self) -> None:
        self.rows: dict[datetime, Row] = {}

    def record(self, used: Mapping[int, float], missed: Collection[int], begins: float) -> None:
        """Record hours as Home Assistant does that was down, or saw nothing, in some of them."""
        position = seen = begins
        total = 0.0
        for hour in sorted(used):
            position += used[hour]
            if hour not in missed:
                total += position - seen
                seen = position
            self.rows[at(hour)] = Row(at(hour), state=seen, sum=total)

    def remove(self, *hours: int) -> None:
        for hour in hours:
            del self.rows[at(hour)]

    def adjust(self, hour: int, amount: float) -> None:
        """Do what a person does who corrects an hour: it and all later sums change."""
        self.shift(Shift(at(hour), amount))

    def shift(self, shift: Shift) -> None:
        for start, row in self.rows.items():
            if start >= shift.start:
                self.rows[start] = replace(row, sum=(row.sum or 0.0) + shift.amount)

    def apply(self, plan: Plan, *, stop: int | None = None) -> None:
        """Take a plan step by step, or only its first `stop` steps."""
        steps: list[Shift | Write] = [*plan.shifts, *plan.ordered()]
        for step in steps[:stop]:
            if isinstance(step, Shift):
                self.shift(step)
            else:
                self.rows[step.after.start] = step.after

    @property
    def sorted(self) -> Sequence[Row]:
        return [self.rows[start] for start in sorted(self.rows)]

    def changes(self) -> dict[int, float]:
        """Return what Home Assistant shows: the energy of each hour, by its number."""
        found: dict[int, float] = {}
        before = 0.0
        for row in self.sorted:
            assert row.sum is not None
            found[round((row.start - START) / HOUR)] = round(row.sum - before, 6)
            before = row.sum
        return found


def steps_of(plan: Plan) -> int:
    return len(plan.shifts) + len(plan.writes)
