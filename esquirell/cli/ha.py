"""`esquirell ha`: gaps in Home Assistant's long-term statistics."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from esquirell.cli.call import Call, Group, misuse, now, pass_call
from esquirell.cli.meter_names import METER, split
from esquirell.cli.moments import moment_of
from esquirell.cli.output import Progress, print_json, print_table, say, warn
from esquirell.domain.long_term import HOUR
from esquirell.domain.reading import iso
from esquirell.domain.statistic import quantity_of
from esquirell.services.backfill import BackfillOptions, Report, SensorReport
from esquirell.services.backfill_plan import REASONS, SkippedHour

if TYPE_CHECKING:
    from esquirell.runtime.backfilling import Backfilling

_SHOWN = "%Y-%m-%d %H:%M"
_COLUMNS = ("hour", "meter", "sensor", "shows", "becomes", "unit")


@click.group("ha", cls=Group)
def ha() -> None:
    """Fill gaps in Home Assistant's long-term statistics from our hours, or undo it."""


@ha.command("backfill")
@click.option("--since", metavar="TIME", help="Only outages that began at this time or later.")
@click.option("--until", metavar="TIME", help="Only outages that began before this time.")
@click.option(
    "--meter",
    "--meters",
    "meters",
    type=METER,
    multiple=True,
    metavar="NAME[,NAME]...",
    help="Only these meters.",
)
@click.option("--dry-run", is_flag=True, help="Show hour by hour what would be written.")
@pass_call
def backfill(
    call: Call, since: str | None, until: str | None, meters: Sequence[str], *, dry_run: bool
) -> None:
    """Fill the hours that Home Assistant missed.

    Those are the hours without a row or without any change. Home Assistant is configured under
    [home_assistant]. Hours that were measured are filled; what was only estimated, corrected by
    hand or differs otherwise is left alone and listed. Overwritten rows are kept: `esquirell ha
    undo` restores them.
    """
    names = [meter.name for meter in call.meters(split(meters))]
    span = [
        moment_of(f"--{name}", text, call.settings.timezone) if text else None
        for name, text in (("since", since), ("until", until))
    ]
    if span[0] and span[1] and span[0] > span[1]:
        raise misuse(f"--since {since} is after --until {until}")
    options = BackfillOptions(names, span[0], span[1], dry_run)
    with Progress() as progress:
        report = _backfilling(call).fill(options, progress.show)
    if call.json:
        print_json(_payload(report, names))
    else:
        _print(report, names, call.settings.timezone, dry_run=dry_run)


@ha.command("undo")
@pass_call
def undo(call: Call) -> None:
    """Undo the last backfill.

    Rows that it overwrote are restored, and hours that it added are removed. Called again, it
    undoes the one before. Hours that have changed since are left alone.
    """
    undone = _backfilling(call).undo()
    if call.json:
        print_json(None if undone is None else undone.payload())
    elif undone is None:
        say("there is no backfill to undo")
    else:
        at = undone.run_at.astimezone(ZoneInfo(call.settings.timezone)).strftime(_SHOWN)
        say(
            f"the backfill of {at} is undone: {_hours(undone.restored)} put back, "
            f"{undone.removed} removed, {undone.left} left alone as they have changed since"
        )
        for problem in undone.problems:
            warn(problem)


def _backfilling(call: Call) -> "Backfilling":
    from esquirell.runtime.backfilling import Backfilling  # noqa: PLC0415 - --help need not wait

    return Backfilling(call.settings, call.storage, now)


def _payload(report: Report, names: Sequence[str]) -> dict[str, Any]:
    return {
        "hours": report.hours(names),
        "sensors": [_sensor(sensor) for sensor in report.sensors],
        "problems": report.problems,
    }


def _sensor(report: SensorReport) -> dict[str, Any]:
    plan = report.plan
    return {
        "meter": report.sensor.meter,
        "key": report.sensor.key,
        "statistic": report.statistic,
        "unit": report.sensor.unit,
        "filled": [
            {"start": iso(hour), "was": filled.was, "becomes": filled.becomes}
            for hour, filled in sorted(plan.filled.items())
        ],
        "left": [
            {"start": iso(hour), "reason": left.reason, "theirs": left.theirs, "ours": left.ours}
            for hour, left in sorted(plan.left.items())
        ],
    }


def _print(report: Report, names: Sequence[str], zone: str, *, dry_run: bool) -> None:
    if dry_run and any(sensor.plan.filled for sensor in report.sensors):
        print_table(_COLUMNS, _rows(report.sensors, zone), ("shows", "becomes"))
    for line in _left(report.sensors, zone):
        say(line)
    verb = "would be written" if dry_run else "written"
    for name, count in report.hours(names).items():
        say(f"{name}: {_hours(count['written'])} {verb}, {count['left']} left alone")
    for problem in report.problems:
        warn(problem)


def _rows(sensors: Sequence[SensorReport], zone: str) -> Iterator[tuple[str, ...]]:
    found = [(hour, planned) for planned in sensors for hour in planned.plan.filled]
    for hour, planned in sorted(found, key=lambda pair: (pair[1].sensor.meter, pair[0])):
        filled, key = planned.plan.filled[hour], planned.sensor.key
        was = "nothing" if filled.was is None else _shown(key, filled.was)
        unit = planned.sensor.unit
        yield _local(hour, zone), planned.sensor.meter, key, was, _shown(key, filled.becomes), unit


def _left(sensors: Sequence[SensorReport], zone: str) -> Iterator[str]:
    """Yield a line for each range of hours that were left alone for the same reason."""
    for planned in sensors:
        for since, until, reason in _stretches(planned.plan.left):
            span = f"{_local(since, zone)} to {_local(until, zone)[-5:]}"
            if until - since > 24 * HOUR:
                span = f"{_local(since, zone)} to {_local(until, zone)}"
            yield f"{planned.statistic}, {span}, left alone: {reason}"


def _stretches(left: Mapping[datetime, SkippedHour]) -> Iterator[tuple[datetime, datetime, str]]:
    hours = sorted(left)
    numbered = enumerate(hours)
    for (_, reason), stretch in groupby(
        numbered, lambda pair: (pair[1] - pair[0] * HOUR, left[pair[1]].reason)
    ):
        found = [hour for _, hour in stretch]
        yield found[0], found[-1] + HOUR, REASONS[reason]


def _shown(key: str, figure: float) -> str:
    try:
        return f"{figure:.{quantity_of(key).precision}f}"
    except KeyError:
        return f"{figure:.2f}"


def _hours(count: int) -> str:
    return f"{count} {'hour' if count == 1 else 'hours'}"


def _local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).strftime(_SHOWN)
