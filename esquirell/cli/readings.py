"""`esquirell readings` and `statistics`: what is stored."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from esquirell.cli import export
from esquirell.cli.call import Call, Command, OneOf, misuse, pass_call
from esquirell.cli.export import load_arrow, new_file
from esquirell.cli.meter_names import METER, expand
from esquirell.cli.moments import SINCE, UNTIL, span_of
from esquirell.cli.output import working
from esquirell.cli.rows import print_table, write_csv, write_json
from esquirell.domain.errors import CommandError
from esquirell.domain.meter import Meter
from esquirell.domain.periods import PERIODS, Calendar
from esquirell.domain.record import record
from esquirell.services.history import VIEWS, Found, Query, View

IN_TERMINAL = "-"
_FORMATS = ("table", "csv", "json", "parquet")


@record
class Options:
    """The options, as typed."""

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
@click.option("--since", default="24h", **SINCE)
@UNTIL
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    metavar="KEY[,KEY]...",
    help="Only these: voltage_a, or voltage for all phases if there is no total; by hour, day "
    "or month also peak_demand, the highest mean of a quarter of an hour.",
)
@click.option(
    "--resolution",
    type=OneOf(VIEWS),
    default="raw",
    show_default=True,
    help="One row per reading, or per quarter of an hour, hour, day, month or year.",
)
@click.option("--format", "form", type=OneOf(_FORMATS), help="The output format.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to a file, in the format of its extension.",
)
@click.option(
    "--plot",
    is_flag=False,
    flag_value=IN_TERMINAL,
    metavar="[FILE.svg]",
    help="Draw a chart: in the terminal, or as a picture in a file.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@pass_call
def readings(call: Call, /, **given: Any) -> None:  # noqa: ANN401 - as click hands them over
    """Show stored readings of all or of the named meters, by default of the last 24 hours.

    By quarter, hour, day, month or year: the kWh of every counter; lowest, mean and highest value
    of everything else, starting with the period that contains --since. A time is a date, a date
    with a time (with a zone or in the configured one), or how long ago it was: 30m, 24h, 7d. A
    table is for people: piped, it is tab-separated and complete.
    """
    options = Options(**given)
    form = _form(call, options)
    found = _found(call, options)
    calendar = call.storage.calendar
    if options.plot:
        from esquirell.cli import plot  # noqa: PLC0415 - it takes long to load, and few plot

        picture = None if options.plot == IN_TERMINAL else Path(options.plot)
        plot.draw(call, found, picture, force=options.force)
    elif options.output:
        with new_file(options.output, force=options.force) as file:
            export.write(form, found, file, calendar)
    else:
        _print(found, form, calendar, call.settings.meters)


def _form(call: Call, options: Options) -> str:
    """Return the output format; what people can't read needs a file."""
    if call.json and options.form not in {None, "json"}:
        raise misuse(f"--json and --format {options.form} exclude each other")
    if options.plot and (call.json or options.form or options.output):
        raise misuse("--plot goes with neither --format, --json nor --output")
    form = "json" if call.json else options.form
    if options.output:
        form = form or options.output.suffix.removeprefix(".")
        if form not in export.FORMATS:
            raise misuse(
                f"the format of {options.output} is not clear: add --format csv, json or parquet"
            )
    elif form == "parquet":
        raise misuse("--format parquet needs --output FILE")
    if form == "parquet":
        load_arrow()
    return form or "table"


def _found(call: Call, options: Options) -> Found:
    query = Query(
        *span_of(options.since, options.until, call.settings.timezone),
        options.resolution,
        _named(call, options.names),
        [key.strip() for text in options.quantities for key in text.split(",")],
        call.settings.meter_names,
    )
    try:
        with working("Bringing the statistics up to date"):
            return call.storage.history.read(query)
    except CommandError as error:
        raise misuse(str(error)) from None


def _named(call: Call, names: Sequence[str]) -> list[str]:
    """Return the requested meters; removed ones are known from their readings."""
    if not names:
        return []
    stored = call.storage.reading_history.statuses()
    return expand(names, call.settings.meters, {*call.settings.meter_names, *stored})


def _print(found: Found, form: str, calendar: Calendar, meters: Sequence[Meter]) -> None:
    match form:
        case "json":
            write_json(found.rows, found.columns, sys.stdout)
        case "csv":
            write_csv(found.rows, found.columns, sys.stdout, calendar)
        case _:
            print_table(found.rows, found.columns, calendar, meters)


statistics = Command(
    "statistics",
    callback=readings.callback,
    params=[
        *(
            option
            for option in readings.params
            if option.expose_value and option.name not in {"since", "resolution"}
        ),
        click.Option(["--since"], default="30d", **SINCE),
        click.Option(
            ["--resolution"],
            type=OneOf(PERIODS),
            default="day",
            show_default=True,
            help="One row per quarter of an hour, hour, day, month or year.",
        ),
    ],
    help="""Show the statistics of all or of the named meters, by default of the last 30 days.

    As readings --resolution day: the kWh of every counter; lowest, mean and highest value of
    everything else. The sum in a terminal counts energy once that two meters measure.
    """,
)
