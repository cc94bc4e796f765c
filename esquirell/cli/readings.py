"""`esquirell readings`: what is stored."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import click

from esquirell.cli import export, history
from esquirell.cli.call import Call, Command, misuse, pass_call
from esquirell.cli.history import Columns
from esquirell.cli.moments import moment_of
from esquirell.cli.parquet import load_arrow
from esquirell.cli.periods import by_period, periods
from esquirell.cli.plot import IN_TERMINAL, Plot
from esquirell.cli.progress import Progress
from esquirell.domain.nearest import nearest
from esquirell.domain.periods import RESOLUTIONS, Calendar, Resolution
from esquirell.domain.quantity import QUANTITIES, is_quantity_key
from esquirell.domain.reading import Reading
from esquirell.domain.statistic import PEAK_DEMAND, quantity_of

_FORMATS = ("table", "csv", "json", "parquet")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, as it was typed."""

    name: str | None
    since: str
    until: str
    quantities: Sequence[str]
    resolution: Literal["raw"] | Resolution
    form: str | None
    output: Path | None
    plot: str | None
    force: bool


@click.command("readings", cls=Command)
@click.argument("name", required=False)
@click.option(
    "--since", default="24h", show_default=True, metavar="MOMENT", help="7d, 2026-11-22T10:15, …"
)
@click.option(
    "--until", default="0s", metavar="MOMENT", help="Until just before then.  [default: now]"
)
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    metavar="KEY[,KEY]...",
    help="Only these: voltage_a, or voltage for all its phases where there is no total; for an "
    "hour, day or month also peak_demand, the highest mean of a quarter of an hour.",
)
@click.option(
    "--resolution",
    type=click.Choice(["raw", *RESOLUTIONS]),
    default="raw",
    show_default=True,
    help="One row per reading, or per hour, day or month.",
)
@click.option("--format", "form", type=click.Choice(_FORMATS), help="How to print them.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Into a file, of the format that its name ends with.",
)
@click.option(
    "--plot",
    is_flag=False,
    flag_value=IN_TERMINAL,
    metavar="[FILE.svg]",
    help="Draw them: in the terminal, or as a picture in a file.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@pass_call
def readings(call: Call, /, **given: Any) -> None:  # noqa: ANN401 - as click hands them over
    """Show the stored readings of one meter or of all, by default those of the last 24 hours.

    By hour, day or month: the kWh of each counter, least, mean and greatest of all else, from
    the period that --since lies in.

    A moment is a date, a date with a time (with a zone or in the configured one), or how long
    ago it was: 30m, 24h, 7d. A table is for people: piped, it is tab-separated and complete.
    """
    wanted = Wanted(**given)
    form = _form(call, wanted)
    span = _span(call, wanted.since, wanted.until)
    columns = _columns(call, wanted)
    if wanted.resolution != "raw":
        columns = by_period(columns)
    if wanted.plot:
        zone = call.settings.timezone
        if wanted.resolution != "raw":
            span = (Calendar(zone).floor(span[0], wanted.resolution), span[1])
        plot = Plot(wanted.plot, columns, span, wanted.resolution, zone)
        plot.draw(_found(call, wanted, columns, span), force=wanted.force)
        return
    found = _found(call, wanted, columns, span)
    if wanted.output:
        write = export.WRITERS[form]
        with export.new_file(wanted.output, force=wanted.force) as file, Progress() as progress:
            write(export.watched(found, span, progress), columns, file)
    else:
        _print(found, columns, form, call.settings.timezone)


def _form(call: Call, wanted: Wanted) -> str:
    """Give the format to write; what can't be read by people needs a file."""
    if call.json and wanted.form not in {None, "json"}:
        raise misuse(f"--json and --format {wanted.form} exclude each other")
    if wanted.plot and (call.json or wanted.form or wanted.output):
        raise misuse("--plot goes with neither --format, --json nor --output")
    form = "json" if call.json else wanted.form
    if wanted.output:
        form = form or wanted.output.suffix.removeprefix(".")
        if form not in export.WRITERS:
            raise misuse(
                f"the format of {wanted.output} is not clear: add --format csv, json or parquet"
            )
    elif form == "parquet":
        raise misuse("--format parquet needs --output FILE")
    if form == "parquet":
        load_arrow()
    return form or "table"


def _found(
    call: Call, wanted: Wanted, columns: Columns, span: tuple[datetime, datetime]
) -> Iterator[Reading]:
    names = [wanted.name] if wanted.name else None
    if wanted.resolution == "raw":
        return call.storage.readings.query(names, *span, columns.wanted)
    return periods(call, wanted.resolution, names, columns, span)


def _span(call: Call, since: str, until: str) -> tuple[datetime, datetime]:
    zone = call.settings.timezone
    begin, end = moment_of("--since", since, zone), moment_of("--until", until, zone)
    if begin > end:
        raise misuse(f"--since {since} lies after --until {until}: nothing is between them")
    return begin, end


def _columns(call: Call, given: Wanted) -> Columns:
    name = given.name
    known = {meter: status.keys for meter, status in call.storage.readings.statuses().items()}
    if name:
        if name not in known and name not in {meter.name for meter in call.settings.meters}:
            raise misuse(f"there is no meter {name!r}; known: {', '.join(known)}")
        known = {name: known.get(name, ())}
    wanted = [key.strip() for text in given.quantities for key in text.split(",") if key.strip()]
    if not wanted:
        return Columns(known, None)
    everything = {key for keys in known.values() for key in keys}
    if given.resolution != "raw":
        everything.add(PEAK_DEMAND)
    chosen = tuple(dict.fromkeys(key for text in wanted for key in _keys(text, everything)))
    return Columns(dict.fromkeys(known, chosen), chosen)


def _keys(wanted: str, known: set[str]) -> Iterator[str]:
    """Give a key itself; for a quantity that is measured in parts only, the parts."""
    if wanted == PEAK_DEMAND and wanted in known:
        yield wanted
        return
    if not is_quantity_key(wanted):
        closest = nearest(wanted, {*QUANTITIES, *known})
        raise misuse(f"--quantity: {wanted!r} is no quantity; the nearest is {closest}")
    parts = [key for key in sorted(known) if quantity_of(key).key == wanted]
    yield from [wanted] if wanted in known or not parts else parts


def _print(found: Iterator[Reading], columns: Columns, form: str, zone: str) -> None:
    match form:
        case "json":
            history.write_json(found, columns, sys.stdout)
        case "csv":
            history.write_csv(found, columns, sys.stdout)
        case _:
            history.print_table(found, columns, zone)


_OWN_DEFAULTS = ("since", "resolution")

statistics = Command(
    "statistics",
    callback=readings.callback,
    params=[
        *(
            one
            for one in readings.params
            if one.expose_value and one.name not in {"since", "resolution"}
        ),
        click.Option(
            ["--since"],
            default="30d",
            show_default=True,
            metavar="MOMENT",
            help="7d, 2026-11-22T10:15, …",
        ),
        click.Option(
            ["--resolution"],
            type=click.Choice(RESOLUTIONS),
            default="day",
            show_default=True,
            help="One row per hour, day or month.",
        ),
    ],
    help="""Show the statistics of one meter or of all, by default of the last 30 days.

    As readings --resolution day: the kWh of each counter, least, mean and greatest of all else.
    """,
)
