"""`esquirell cost`: what the energy of the meters cost."""

import sys
from collections.abc import Sequence

import click

from esquirell.cli.call import Call, Command, OneOf, misuse, pass_call
from esquirell.cli.meter_names import METER, behind
from esquirell.cli.moments import SINCE, UNTIL, span_of
from esquirell.cli.output import in_terminal, print_json, print_table, warn, working
from esquirell.cli.rows import say_uncounted
from esquirell.cli.tariffs import require_tariff
from esquirell.domain.errors import CommandError
from esquirell.domain.periods import Calendar
from esquirell.services.costs import COST_PERIODS, CostPeriod, CostQuery, CostRow
from esquirell.services.csv_rows import COST_COLUMNS, cost_lines

_FIGURES = (
    "energy_import",
    "import_cost",
    "energy_export",
    "export_credit",
    "fee",
    "total",
    "unpriced",
)
_FORMATS = ("table", "csv", "json")

Line = dict[str, object]


@click.command("cost", cls=Command)
@click.argument("names", nargs=-1, type=METER, metavar="[NAME]...")
@click.option("--since", default="30d", **SINCE)
@UNTIL
@click.option(
    "--resolution",
    type=OneOf(COST_PERIODS),
    default="day",
    show_default=True,
    help="One row per hour, day, month or year.",
)
@click.option("--tariff", metavar="NAME", help="Use this tariff for all meters shown.")
@click.option("--format", "form", type=OneOf(_FORMATS), help="The output format.")
@pass_call
def cost(
    call: Call,
    /,
    names: Sequence[str],
    since: str,
    until: str,
    resolution: CostPeriod,
    **given: str | None,
) -> None:
    """Show what the energy of all or of the named meters cost, by their tariffs.

    Rows start with the period that contains --since. The total is the cost of imported energy, less
    the credit for exported energy, plus the fees; energy without a price is shown as unpriced. The
    fees of a contract are listed with the first of its meters. The sum in a terminal counts energy
    once that two meters measure.
    """
    form = given["form"]
    if call.json and form not in {None, "json"}:
        raise misuse(f"--json and --format {form} exclude each other")
    require_tariff(call)
    meters = [meter.name for meter in call.meters(names)]
    span = span_of(since, until, call.settings.timezone)
    rows = _rows(call, CostQuery(*span, resolution, meters, given["tariff"]))
    if call.json or form == "json":
        print_json([row.payload() for row in rows])
    elif form == "csv":
        sys.stdout.writelines(cost_lines(rows, call.storage.calendar, resolution))
    else:
        lines = [_line(row, call.storage.calendar, resolution) for row in rows]
        _print(lines, behind({row.meter for row in rows}, call.settings.meters))


def _rows(call: Call, query: CostQuery) -> list[CostRow]:
    costs = call.storage.costs
    try:
        billed = costs.billed(query)
    except CommandError as error:
        raise misuse(str(error)) from None
    with working("Bringing the statistics up to date"):
        call.storage.fresh_statistics.ensure(list(billed))
    return list(costs.read(query))


def _line(row: CostRow, calendar: Calendar, period: CostPeriod) -> Line:
    """Format a row for people: its period by its local date."""
    name = calendar.title if in_terminal() else calendar.name
    return row.payload() | {"start": name(row.cost.start, period)}


def _print(lines: Sequence[Line], contained: set[str]) -> None:
    columns = _columns(lines) if in_terminal() else COST_COLUMNS
    shown = [[_cell(line[key]) for key in columns] for line in lines]
    summed = in_terminal() and len(lines) > 1 and len({line["currency"] for line in lines}) == 1
    if summed:
        shown.append([_sum(lines, key, contained) for key in columns])
    print_table(columns, shown, _FIGURES, empty="there are no costs for that period")
    if summed:
        say_uncounted(contained)
    if lacking := sum(float(str(line["unpriced"])) for line in lines):
        warn(f"{lacking:.2f} kWh have no price and are not included in the cost: set import_price")


def _columns(lines: Sequence[Line]) -> list[str]:
    """Choose the columns that fit a terminal: what all rows share is printed above them."""
    same = [key for key in ("tariff", "currency") if len({line[key] for line in lines}) == 1]
    if lines and same:
        click.echo(", ".join(f"{key} {lines[0][key]}" for key in same))
    return [key for key in COST_COLUMNS[:-1] if key not in same]


def _sum(lines: Sequence[Line], key: str, contained: set[str]) -> str:
    """Return the last cell of a column: the sum of its figures."""
    if key not in _FIGURES:
        return "sum" if key == "start" else ""
    return _cell(sum(_counted(line, key, contained) for line in lines))


def _counted(line: Line, key: str, contained: set[str]) -> float:
    """Return what a row adds to a sum; of a meter whose energy another one measures, its fee."""
    if line["meter"] in contained:
        if key not in {"fee", "total"}:
            return 0.0
        key = "fee"
    return float(str(line[key]))


def _cell(value: object) -> str:
    if isinstance(value, float) and in_terminal():
        # Not "-0.00" for a credit of less than a cent.
        return f"{round(value, 2) + 0.0:.2f}"
    return str(value)
