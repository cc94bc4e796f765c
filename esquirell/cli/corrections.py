"""`esquirell db readings` and `esquirell meters counter`: correcting stored data by hand."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click

from esquirell.cli.call import Call, Command, Group, misuse, pass_call
from esquirell.cli.meter_names import METER
from esquirell.cli.moments import local, moment_of
from esquirell.cli.output import print_json, say
from esquirell.cli.values import shown
from esquirell.domain.correction import Correction, Span
from esquirell.domain.errors import EsquirellError
from esquirell.domain.reading import iso

# Before and after everything that can be stored.
_EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_SHIFT = re.compile(r"([+-])(\d{1,9})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

_METER = click.option("--meter", type=METER, metavar="NAME", required=True, help="The meter.")
_SINCE = click.option("--since", metavar="TIME", help="Start of the span: 2026-11-22T10:15, 7d, …")
_UNTIL = click.option("--until", metavar="TIME", help="End of the span, exclusive.")
_DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Show what would change without changing it."
)
_UNDO = click.option("--undo", is_flag=True, help="Undo the latest such correction.")


@click.group("readings", cls=Group)
def readings() -> None:
    """Remove stored readings, or move them to another time, as after a wrong clock."""


@readings.command("remove")
@_METER
@_SINCE
@_UNTIL
@_DRY_RUN
@_UNDO
@pass_call
def remove(
    call: Call, meter: str, since: str | None, until: str | None, dry_run: bool, undo: bool
) -> None:
    """Remove the readings of a span.

    They are kept for --undo, which also restores readings that were set aside because they lay in
    the future. Statistics and costs follow.
    """
    corrections = call.upkeep.corrections
    if undo:
        _refuse_span(since, until)
        done = corrections.undo(meter, ["remove", "future"], dry_run=dry_run)
    else:
        done = corrections.remove(_span(call, meter, since, until), dry_run=dry_run)
    _report(call, "remove", done, dry_run=dry_run, undo=undo)


@readings.command("restamp")
@_METER
@_SINCE
@_UNTIL
@click.option("--to", metavar="TIME", help="When the first of them was really taken.")
@click.option("--by", metavar="SHIFT", help="Move them by this much: +3h, -1d, +90s, …")
@_DRY_RUN
@_UNDO
@pass_call
def restamp(  # noqa: PLR0913 - one for each option
    call: Call,
    *,
    meter: str,
    since: str | None,
    until: str | None,
    to: str | None,
    by: str | None,
    dry_run: bool,
    undo: bool,
) -> None:
    """Move the readings of a span to another time.

    The intervals between them stay. The originals are kept for --undo. Statistics and costs follow.
    """
    corrections = call.upkeep.corrections
    if undo:
        _refuse_span(since, until, to, by)
        done = corrections.undo(meter, ["restamp"], dry_run=dry_run)
    else:
        span = _span(call, meter, since, until)
        done = corrections.restamp(span, _new_time(call, to, by), dry_run=dry_run)
    _report(call, "restamp", done, dry_run=dry_run, undo=undo)


@click.command("counter", cls=Command)
@click.argument("name", type=METER)
@click.option("--reset", is_flag=True, help="Forget the offset added to the meter's own counters.")
@_DRY_RUN
@_UNDO
@pass_call
def counter(call: Call, name: str, reset: bool, dry_run: bool, undo: bool) -> None:
    """Make a meter's sums follow its own counters again, as its display shows them.

    Across resets and exchanges a sum continues by an offset. If that is wrong, --reset forgets it:
    from the next reading on the sum is what the meter counts. The difference is not energy: it
    appears in no statistic and costs nothing. The old offset is kept for --undo.
    """
    if reset == undo:
        raise misuse("say what to do: --reset or --undo")
    if undo:
        done = call.upkeep.corrections.undo(name, ["counter"], dry_run=dry_run)
    else:
        done = call.upkeep.corrections.forget_offsets(name, dry_run=dry_run)
    if done.is_empty:
        raise EsquirellError(f"the sums of {name} have no offset to forget")
    if not dry_run:
        call.record("meters/counter", {"name": name, "undo": undo})
    if call.json:
        print_json(done.payload() | {"dry_run": dry_run, "undone": undo})
        return
    for key, (before, after) in done.sums.items():
        say(f"{key}: {shown(key, before)} -> {shown(key, after)} kWh")
    say("Nothing was changed." if dry_run else "The next reading starts the sums again.")


def _span(call: Call, meter: str, since: str | None, until: str | None) -> Span:
    """Return the span that was asked for. Raises UsageError."""
    if since is None and until is None:
        raise misuse("name a span: --since, --until or both")
    zone = call.settings.timezone
    begin = moment_of("--since", since, zone) if since else _EVER[0]
    end = moment_of("--until", until, zone) if until else _EVER[1]
    if begin >= end:
        raise misuse("--since is not before --until")
    return Span(meter, begin, end)


def _refuse_span(*given: str | None) -> None:
    if any(given):
        raise misuse("--undo reverts the latest correction, whatever its span: leave out the span")


def _new_time(call: Call, to: str | None, by: str | None) -> Callable[[datetime], datetime]:
    """Return the rule that assigns the first reading its new time. Raises UsageError."""
    if to is not None and by is None:
        moment = moment_of("--to", to, call.settings.timezone)
        return lambda _: moment
    if by is not None and to is None:
        shift = _shift(by)
        return lambda first: first + shift
    raise misuse("give the new time: either --to or --by")


def _shift(text: str) -> timedelta:
    found = _SHIFT.fullmatch(text.strip())
    if found is None:
        raise misuse(f"--by: {text!r} is not a shift: write +3h, -1d or +90s (s, m, h, d or w)")
    amount = timedelta(**{_UNITS[found[3]]: int(found[2])})
    return -amount if found[1] == "-" else amount


def _report(call: Call, command: str, done: Correction, *, dry_run: bool, undo: bool) -> None:
    if done.is_empty:
        raise EsquirellError(f"{done.meter} has no readings in that span")
    if not dry_run:
        call.storage.statistics.rollup(meters=[done.meter])
        request = {name: value for name, value in done.payload().items() if name != "sums"}
        call.record(f"db/readings/{command}", request | {"undo": undo})
    if call.json:
        print_json(done.payload() | {"dry_run": dry_run, "undone": undo})
        return
    for line in _lines(done, call.settings.timezone, dry_run=dry_run, undo=undo):
        say(line)


def _lines(done: Correction, zone: str, *, dry_run: bool, undo: bool) -> list[str]:
    first, last, to = (
        local(iso(moment), zone) if moment else "" for moment in (done.first, done.last, done.to)
    )
    plural = "s" * (done.readings != 1)
    lines = [f"{done.readings} reading{plural} of {done.meter}, {first} to {last} ({zone})"]
    lines += [
        f"  {key}: {shown(key, begin)} to {shown(key, end)} kWh"
        for key, (begin, end) in done.sums.items()
    ]
    if dry_run:
        return [*lines, f"would be {_DONE[undo, done.to is not None].format(to=to)}."]
    words = f"are {_DONE[undo, done.to is not None].format(to=to)}."
    return [*lines, words if undo else f"{words} --undo reverts that."]


_DONE = {
    (False, False): "removed",
    (False, True): "moved: the first is now at {to}",
    (True, False): "back where they were",
    (True, True): "back where they were",
}
