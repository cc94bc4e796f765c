"""`esquirell readings`: what is stored."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from esquirell.cli import export
from esquirell.cli.call import Call, Command, misuse, pass_call
from esquirell.cli.export import new_file
from esquirell.cli.meter_names import METER, expand
from esquirell.cli.moments import span_of
from esquirell.cli.parquet import load_arrow
from esquirell.cli.progress import working
from esquirell.cli.rows import print_table, write_csv, write_json
from esquirell.domain.errors import CommandError
from esquirell.domain.periods import PERIODS, Calendar
from esquirell.services.history import VIEWS, Found, Query, View

IN_TERMINAL = "-"
_FORMATS = ("table", "csv", "json", "parquet")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, as it was typed."""

    names: Sequence[str]
    since: str
    until: str
    quantities: Sequence[str]
    resolution: View
    form: str | None
    output: Path | None
    plot: str | None
    force: bool


@click.command("readings", cls=Command)
@click.argument("names", nargs=-1, type=METER, metavar="[NAME]...")
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
    type=click.Choice(VIEWS),
    default="raw",
    show_default=True,
    help="One row per reading, or per quarter of an hour, hour, day, month or year.",
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
    """Show stored readings of all meters or of those named, by default of the last 24 hours.

    By quarter, hour, day, month or year: the kWh of every counter; lowest, mean and highest value
    of everything else, from the period that --since lies in.

    A moment is a date, a date with a time (with a zone or in the configured one), or how long
    ago it was: 30m, 24h, 7d. A table is for people: piped, it is tab-separated and complete.
    """
    asked = Asked(**given)
    form = _form(call, asked)
    found = _found(call, asked)
    calendar = call.storage.calendar
    if asked.plot:
        from esquirell.cli import plot  # noqa: PLC0415 - it takes long to load, and few plot

        picture = None if asked.plot == IN_TERMINAL else Path(asked.plot)
        plot.draw(call, found, picture, force=asked.force)
    elif asked.output:
        with new_file(asked.output, force=asked.force) as file:
            export.write(form, found, file, calendar)
    else:
        _print(found, form, calendar)


def _form(call: Call, asked: Asked) -> str:
    """Return the format to write; what can't be read by people needs a file."""
    if call.json and asked.form not in {None, "json"}:
        raise misuse(f"--json and --format {asked.form} exclude each other")
    if asked.plot and (call.json or asked.form or asked.output):
        raise misuse("--plot goes with neither --format, --json nor --output")
    form = "json" if call.json else asked.form
    if asked.output:
        form = form or asked.output.suffix.removeprefix(".")
        if form not in export.FORMATS:
            raise misuse(
                f"the format of {asked.output} is not clear: add --format csv, json or parquet"
            )
    elif form == "parquet":
        raise misuse("--format parquet needs --output FILE")
    if form == "parquet":
        load_arrow()
    return form or "table"


def _found(call: Call, asked: Asked) -> Found:
    query = Query(
        *span_of(asked.since, asked.until, call.settings.timezone),
        asked.resolution,
        _named(call, asked.names),
        [key.strip() for text in asked.quantities for key in text.split(",") if key.strip()],
        call.settings.meter_names,
    )
    try:
        with working("Bringing the statistics up to date"):
            return call.storage.history.read(query)
    except CommandError as error:
        raise misuse(str(error)) from None


def _named(call: Call, names: Sequence[str]) -> list[str]:
    """Return the meters that are meant; those that were removed are known by their readings."""
    if not names:
        return []
    stored = call.storage.reading_history.statuses()
    return expand(names, call.settings.meters, {*call.settings.meter_names, *stored})


def _print(found: Found, form: str, calendar: Calendar) -> None:
    match form:
        case "json":
            write_json(found.rows, found.columns, sys.stdout)
        case "csv":
            write_csv(found.rows, found.columns, sys.stdout, calendar)
        case _:
            print_table(found.rows, found.columns, calendar)


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
            type=click.Choice(PERIODS),
            default="day",
            show_default=True,
            help="One row per quarter of an hour, hour, day, month or year.",
        ),
    ],
    help="""Show the statistics of all meters or of those named, by default of the last 30 days.

    As readings --resolution day: the kWh of every counter; lowest, mean and highest value of
    everything else.
    """,
)
