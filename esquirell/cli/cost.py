"""`esquirell cost`: what the energy of the meters has cost."""

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from esquirell.cli.call import Call, Command, misuse, pass_call
from esquirell.cli.moments import moment_of
from esquirell.cli.output import in_terminal, print_json, print_table, warn
from esquirell.cli.tariffs import chosen
from esquirell.domain.errors import ConfigError
from esquirell.domain.periods import RESOLUTIONS, Resolution
from esquirell.domain.tariff import Tariff

_FIGURES = (
    "energy_import",
    "import_cost",
    "energy_export",
    "export_credit",
    "fee",
    "total",
    "unpriced",
)
_COLUMNS = ("start", "meter", "tariff", "currency", *_FIGURES)
_STARTS = {"hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}
_FORMATS = ("table", "csv", "json")

Row = dict[str, object]


@click.command("cost", cls=Command)
@click.argument("name", required=False)
@click.option(
    "--since", default="30d", show_default=True, metavar="MOMENT", help="7d, 2026-11-22T10:15, …"
)
@click.option(
    "--until", default="0s", metavar="MOMENT", help="Until just before then.  [default: now]"
)
@click.option(
    "--resolution",
    type=click.Choice(RESOLUTIONS),
    default="day",
    show_default=True,
    help="One row per hour, day or month.",
)
@click.option("--tariff", metavar="NAME", help="By this one, whatever meters it is for.")
@click.option("--format", "form", type=click.Choice(_FORMATS), help="How to print them.")
@pass_call
def cost(
    call: Call,
    /,
    name: str | None,
    since: str,
    until: str,
    resolution: Resolution,
    **given: str | None,
) -> None:
    """Show what the energy of one meter or of all has cost, by their tariffs.

    Each row begins with the period that --since lies in. The total is the cost of what was
    imported, less the credit for what was exported, plus the fees; energy for which there was
    no price is told as unpriced.
    """
    form = given["form"]
    if call.json and form not in {None, "json"}:
        raise misuse(f"--json and --format {form} exclude each other")
    span = _span(call, since, until)
    priced = _priced(call, name, given["tariff"])
    call.storage.statistics.rollup(meters=list(priced))
    rows = list(_rows(call, priced, span, resolution))
    _print(rows, "json" if call.json else form or "table", call.settings.timezone, resolution)


def _span(call: Call, since: str, until: str) -> tuple[datetime, datetime]:
    zone = call.settings.timezone
    begin, end = moment_of("--since", since, zone), moment_of("--until", until, zone)
    if begin > end:
        raise misuse(f"--since {since} lies after --until {until}: nothing is between them")
    return begin, end


def _priced(call: Call, name: str | None, tariff: str | None) -> dict[str, Tariff]:
    """Give the tariff of each meter asked for, by the meter's name."""
    meters = [one.name for one in call.meters([name] if name else [])]
    if tariff or not call.settings.tariffs:
        return dict.fromkeys(meters, chosen(call, tariff))
    found = {meter: call.storage.costs.tariff_of(meter) for meter in meters}
    priced = {meter: one for meter, one in found.items() if one is not None}
    if not priced:
        raise ConfigError(f"no tariff is for {name or 'any meter'}: add it to meters of one")
    return priced


def _rows(
    call: Call,
    priced: dict[str, Tariff],
    span: tuple[datetime, datetime],
    resolution: Resolution,
) -> Iterator[Row]:
    for meter, tariff in priced.items():
        of = {"meter": meter, "tariff": tariff.name, "currency": tariff.currency}
        for one in call.storage.costs.by_period(meter, tariff, span, resolution):
            shape = one.payload()
            yield {"start": shape.pop("start")} | of | shape


def _print(rows: Sequence[Row], form: str, zone: str, resolution: Resolution) -> None:
    if form == "json":
        print_json(rows)
        return
    if form == "csv":
        writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    columns = _columns(rows) if in_terminal() else _COLUMNS
    shown = [[_cell(row, key, zone, resolution) for key in columns] for row in rows]
    print_table(columns, shown, _FIGURES)
    if lacking := sum(float(str(row["unpriced"])) for row in rows):
        warn(f"{lacking:.2f} kWh have no price and are not in the cost: give import_price")


def _columns(rows: Sequence[Row]) -> list[str]:
    """Choose what fits into a terminal: what is the same in all rows is said above them."""
    same = [key for key in ("tariff", "currency") if len({row[key] for row in rows}) == 1]
    if rows and same:
        click.echo(", ".join(f"{key} {rows[0][key]}" for key in same))
    return [key for key in _COLUMNS[:-1] if key not in same]


def _cell(row: Row, key: str, zone: str, resolution: Resolution) -> str:
    value = row[key]
    if isinstance(value, float) and in_terminal():
        return f"{value:.2f}"
    if key == "start" and in_terminal():
        return (
            datetime.fromisoformat(str(value))
            .astimezone(ZoneInfo(zone))
            .strftime(_STARTS[resolution])
        )
    return str(value)
