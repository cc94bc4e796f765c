"""Fills holes in Home Assistant's long-term statistics from our hours, and undoes it."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isclose
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.errors import ConfigError, HomeAssistantError
from esquirell.domain.long_term import HOUR, KeptStatistic, Row, Shift, Step, Write, whole_hour
from esquirell.domain.record import record
from esquirell.services.backfill_plan import (
    Journal,
    LongTerm,
    OpenLongTerm,
    Plan,
    Sensor,
    plan_averages,
)
from esquirell.services.counter_plan import plan_counter
from esquirell.services.our_hours import BEGINNING, OurHours, is_cost, is_counter

# Hours per message: a month, which even a slow recorder writes in a moment.
BATCH = 744
LOOK_EVERY_S = 0.1
NOTHING_KNOWN = (
    "Home Assistant has no sensor of these meters: check that discovery is on, and that "
    "home_assistant.url is the Home Assistant that they are announced to"
)
# How far to look back for the beginning of an outage that continues in the span.
_LOOK_BACK = timedelta(days=31)


@dataclass(slots=True)
class SensorReport:
    """The result for one sensor; `statistic` is its id in Home Assistant."""

    sensor: Sensor
    statistic: str
    plan: Plan


@dataclass(slots=True)
class Report:
    """The result of a backfill; `problems` are one sentence each."""

    sensors: list[SensorReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def hours(self, meters: Sequence[str]) -> dict[str, dict[str, int]]:
        """Count the written and skipped hours of each meter."""
        return {meter: self._of(meter) for meter in meters}

    def _of(self, meter: str) -> dict[str, int]:
        plans = [report.plan for report in self.sensors if report.sensor.meter == meter]
        written = {hour for plan in plans for hour in plan.filled}
        left = {hour for plan in plans for hour in plan.left}
        return {"written": len(written), "left": len(left - written)}

    def payload(self, meters: Sequence[str]) -> dict[str, Any]:
        """Return the answer of the task or command."""
        return {"hours": self.hours(meters)} | (
            {"problems": self.problems} if self.problems else {}
        )


Progress = Callable[[str, int, int], None]


def silent(_name: str, _done: int, _whole: int) -> None:
    """Show no progress."""


@record
class BackfillOptions:
    """The options of a backfill: the meters, the span, and whether to change nothing."""

    meters: Sequence[str]
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False


class Backfill:
    """Compares and fills one sensor after the other.

    Overwritten rows are kept before a batch is sent, and each batch is read back, so that an
    interrupted run can be completed by running it again, and undone.
    """

    def __init__(
        self, connect: OpenLongTerm, ours: OurHours, journal: Journal, clock: Clock
    ) -> None:
        self._connect = connect
        self._ours = ours
        self._journal = journal
        self._clock = clock

    def run(
        self,
        sensors: Sequence[Sensor],
        options: BackfillOptions,
        progress: Progress = silent,
        check_cancelled: Callable[[], None] = lambda: None,
    ) -> Report:
        """Fill the holes of sensors. Raises ConfigError, UnavailableError, HomeAssistantError."""
        report = Report()
        with self._connect() as home:
            if not options.dry_run and not home.may_write():
                raise ConfigError(
                    "home_assistant.token must be an administrator's: only those may change "
                    "statistics"
                )
            found = home.find({sensor.unique_id: sensor.unit for sensor in sensors})
            if not found:
                report.problems.append(NOTHING_KNOWN)
            work = _Work(home, self._journal, self._clock(), check_cancelled)
            for sensor in sensors:
                kept = found.get(sensor.unique_id)
                if isinstance(kept, str):
                    report.problems.append(kept)
                elif kept is not None:
                    plan = self._plan(home, kept, sensor, options)
                    report.sensors.append(SensorReport(sensor, kept.name, plan))
                    if not plan.recorded:
                        report.problems.append(
                            f"Home Assistant has no statistics for {kept.name} yet: it creates "
                            "them at the end of each hour, so run this again later"
                        )
                    if not options.dry_run:
                        work.carry_out(sensor, kept, plan, progress)
        return report

    def _plan(
        self, home: LongTerm, kept: KeptStatistic, sensor: Sensor, options: BackfillOptions
    ) -> Plan:
        now = whole_hour(self._clock())
        span = (options.since or BEGINNING, min(options.until or now, now))
        if kept.counts != is_counter(sensor.key):
            return Plan()
        if not kept.counts:
            averages, estimated = self._ours.averages(sensor.meter, sensor.key, now)
            rows = home.hours(kept, begin_of(span, averages), now)
            return plan_averages(rows, averages, estimated, span)
        counter = (
            self._ours.cost(sensor.meter, sensor.key, now)
            if is_cost(sensor.key)
            else self._ours.energy(sensor.meter, sensor.key, now)
        )
        if counter is None:
            return Plan()
        begin = begin_of(span, counter.amounts)
        rows = home.hours(kept, begin, now)
        if earlier := home.last_before(kept, begin):
            rows.insert(0, earlier)
        return plan_counter(whole(rows), counter, span)


class _Work:
    """Carries out plans on one connection."""

    def __init__(
        self, home: LongTerm, journal: Journal, now: datetime, check_cancelled: Callable[[], None]
    ) -> None:
        self._home = home
        self._journal = journal
        self._now = now
        self._run = str(uuid.uuid4())
        self._check_cancelled = check_cancelled

    def carry_out(
        self, sensor: Sensor, kept: KeptStatistic, plan: Plan, progress: Progress
    ) -> None:
        for shift in plan.shifts:
            self._shift(sensor, kept, shift)
        writes = plan.ordered()
        for begin in range(0, len(writes), BATCH):
            self._check_cancelled()
            progress(kept.name, begin, len(writes))
            self._write(sensor, kept, writes[begin : begin + BATCH])
        if writes:
            progress(kept.name, len(writes), len(writes))
        if (plan.shifts or writes) and not self._home.is_unchanged(kept):
            raise HomeAssistantError(
                f"the metadata of {kept.name} in Home Assistant has changed: run this again"
            )

    def _shift(self, sensor: Sensor, kept: KeptStatistic, shift: Shift) -> None:
        before = sum_at(self._home, kept, shift.start)
        step = Step(0, sensor.meter, sensor.key, shift=shift, sum_before=before)
        number = self._journal.keep(self._run, self._now, step)
        shift_and_see(self._home, kept, shift, before)
        self._journal.confirm(number)

    def _write(self, sensor: Sensor, kept: KeptStatistic, writes: Sequence[Write]) -> None:
        step = Step(0, sensor.meter, sensor.key, writes=writes)
        number = self._journal.keep(self._run, self._now, step)
        write_and_see(self._home, kept, [write.after for write in writes])
        self._journal.confirm(number)


def write_and_see(home: LongTerm, kept: KeptStatistic, rows: Sequence[Row]) -> None:
    """Write rows and wait until they are stored. Raises HomeAssistantError."""
    home.write(kept, rows)
    wanted = {row.start: row for row in rows}

    def are_there() -> bool:
        found = {row.start: row for row in home.hours(kept, min(wanted), max(wanted) + HOUR)}
        return all(hour in found and same(found[hour], row) for hour, row in wanted.items())

    wait_until(home, are_there, f"the hours written to {kept.name} are not there")


def shift_and_see(home: LongTerm, kept: KeptStatistic, shift: Shift, before: float) -> None:
    """Shift sums and wait until they are shifted. Raises HomeAssistantError."""
    home.shift(kept, shift)
    wait_until(
        home,
        lambda: alike(sum_at(home, kept, shift.start), before + shift.amount),
        f"the sums of {kept.name} were not shifted",
    )


def wait_until(home: LongTerm, look: Callable[[], bool], failure: str) -> None:
    """Wait for an effect that follows Home Assistant's answer. Raises HomeAssistantError."""
    deadline = time.monotonic() + home.written_within_s
    while not look():
        if time.monotonic() > deadline:
            raise HomeAssistantError(
                f"{failure} after {home.written_within_s:.0f} s, although Home Assistant accepted "
                "them: check its log, then run this again"
            )
        time.sleep(LOOK_EVERY_S)


def sum_at(home: LongTerm, kept: KeptStatistic, hour: datetime) -> float:
    """Return the sum of an hour that has a row. Raises HomeAssistantError."""
    for row in home.hours(kept, hour, hour + HOUR):
        if row.sum is not None:
            return row.sum
    raise HomeAssistantError(f"the row of {hour} is gone from {kept.name}: run this again")


def same(one: Row, other: Row) -> bool:
    """Return whether two rows have the same figures, within the rounding of doubles."""
    figures = ("state", "sum", "mean", "min", "max")
    return all(alike(getattr(one, name), getattr(other, name)) for name in figures)


def alike(one: float | None, other: float | None) -> bool:
    """Return whether two figures are the same, within the rounding of doubles."""
    if one is None or other is None:
        return one is other
    return isclose(one, other, rel_tol=1e-9, abs_tol=1e-6)


def begin_of(span: tuple[datetime, datetime], hours: Mapping[datetime, object]) -> datetime:
    """Return the time from which to examine Home Assistant's rows."""
    first = min(hours, default=span[1])
    return whole_hour(max(first, span[0])) - _LOOK_BACK


def whole(rows: Sequence[Row]) -> list[Row]:
    """Return the rows after the last one that lacks a figure, which imports may leave out."""
    lacking = [number for number, row in enumerate(rows) if row.state is None or row.sum is None]
    return list(rows[lacking[-1] + 1 :] if lacking else rows)
