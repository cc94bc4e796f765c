"""`esquirell cost`: what the energy of the meters cost."""

import sys
from collections.abc import Sequence

import click

from esquirell.cli.call import Call, Command, OneOf, misuse, pass_call
from esquirell.cli.meter_names import METER
from esquirell.cli.moments import SINCE, UNTIL, span_of
from esquirell.cli.output import in_terminal, print_json, print_table, warn, working
from esquirell.cli.rows import say_uncounted
from esquirell.cli.tariffs import require_tariff
from esquirell.domain.errors import CommandError
from esquirell.domain.periods import Calendar
from esquirell.domain.submeters import Upstream, behind, upstream_of
from esquirell.services.costs import COST_PERIODS, CostPeriod, CostQuery, CostRow, house_total
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
        upstream = upstream_of(call.settings.meters)
        _print(rows, call.storage.calendar, resolution, upstream)


def _rows(call: Call, query: CostQuery) -> list[CostRow]:
    costs = call.storage.costs
    try:
        billed = costs.billed(query)
    except CommandError as error:
        raise misuse(str(error)) from None
    with working("Bringing the statistics up to date"):
        call.storage.fresh_statistics.ensure(list(billed))
    return list(costs.read(query))


def _print(
    rows: Sequence[CostRow], calendar: Calendar, period: CostPeriod, upstream: Upstream
) -> None:
    """Print the rows for people, each period by its local date, and the sum in a terminal."""
    name = calendar.title if in_terminal() else calendar.name
    lines = [row.payload() | {"start": name(row.cost.start, period)} for row in rows]
    columns = _columns(lines) if in_terminal() else COST_COLUMNS
    shown = [[_cell(line[key]) for key in columns] for line in lines]
    whole = house_total(rows, upstream).payload() if rows else {}
    summed = in_terminal() and len(lines) > 1 and len({line["currency"] for line in lines}) == 1
    if summed:
        sums = {key: _cell(whole[key]) for key in _FIGURES} | {"start": "sum"}
        shown.append([sums.get(key, "") for key in columns])
    print_table(columns, shown, _FIGURES, empty="there are no costs for that period")
    if summed:
        say_uncounted(behind({row.meter for row in rows}, upstream))
    if lacking := float(str(whole.get("unpriced", 0))):
        warn(f"{lacking:.2f} kWh have no price and are not included in the cost: set import_price")


def _columns(lines: Sequence[Line]) -> list[str]:
    """Choose the columns that fit a terminal: what all rows share is printed above them."""
    same = [key for key in ("tariff", "currency") if len({line[key] for line in lines}) == 1]
    if lines and same:
        click.echo(", ".join(f"{key} {lines[0][key]}" for key in same))
    return [key for key in COST_COLUMNS[:-1] if key not in same]


def _cell(value: object) -> str:
    if isinstance(value, float) and in_terminal():
        # Not "-0.00" for a credit of less than a cent.
        return f"{round(value, 2) + 0.0:.2f}"
    return str(value)
