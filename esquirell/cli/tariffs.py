"""`esquirell tariffs`: what energy costs, and price lists from files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from esquirell.cli.call import Call, Group, misuse, pass_call
from esquirell.cli.moments import local
from esquirell.cli.output import print_json, print_table, say
from esquirell.domain.errors import CommandError, ConfigError
from esquirell.domain.price_list import end_of, read_prices
from esquirell.domain.reading import iso
from esquirell.domain.tariff import Tariff, Window

if TYPE_CHECKING:
    from esquirell.domain.cost import PriceRow

_EXAMPLE = """
  [[tariffs]]
  name = "home"
  currency = "EUR"
  import_price = 0.30   # for each kWh"""
_EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_SHOWN_ROWS = timedelta(days=2)


@click.group("tariffs", cls=Group)
def tariffs() -> None:
    """List tariffs, show one with its prices, import prices from a file."""


@tariffs.command("list")
@pass_call
def list_tariffs(call: Call) -> None:
    """List the configured tariffs."""
    counts = call.storage.prices.counts()
    found = [
        _shape(tariff) | {"imported": counts.get(tariff.name, 0)}
        for tariff in call.settings.tariffs
    ]
    if call.json:
        print_json(found)
        return
    columns = ("name", "meters", "currency", "import_price", "export_price", "imported")
    lines = [tariff | {"meters": tariff["meters"] or ["all"]} for tariff in found]
    rows = [[_cell(line[column]) for column in columns] for line in lines]
    print_table(columns, rows, right=columns[3:], empty=_none_yet(call))


@tariffs.command("show")
@click.argument("name", required=False)
@pass_call
def show(call: Call, name: str | None) -> None:
    """Show a tariff and its imported prices.

    A terminal shows those within a day from now, --json all of them.
    """
    tariff = _chosen(call, name)
    rows = call.storage.prices.rows(tariff.name, *_EVER)
    if call.json:
        print_json(_shape(tariff) | {"prices": [_price(row) for row in rows]})
        return
    shape = _shape(tariff) | {"meters": tariff.meters or ["all"]}
    del shape["windows"]
    for key, value in shape.items():
        say(f"{key}: {_cell(value)}")
    for window in tariff.windows:
        say(f"window: {_spoken(window)}")
    since = datetime.now(UTC) - _SHOWN_ROWS / 2
    near = [_price(row) for row in rows if since <= row.start < since + _SHOWN_ROWS]
    count = f"{len(rows)} imported prices, {len(near)} of them start within a day from now"
    say(count if rows else "no prices are imported")
    if near:
        _print_prices(near, call.settings.timezone)


@tariffs.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tariff", metavar="NAME", help="The tariff; needed if there are several.")
@pass_call
def import_prices(call: Call, file: Path, tariff: str | None) -> None:
    """Import prices from a CSV file.

    Its columns are start, price and optionally export. A price is valid from its start until the
    next one's. If they start a day apart or less, the last one lasts as long as the one before it;
    after that the prices of the configuration apply again. A start without a zone is in the
    configured one. Previously imported prices for the same time are replaced; an empty price means
    that of the configuration.
    """
    name = _chosen(call, tariff).name
    rows = _read(file, call.settings.timezone)
    call.storage.prices.put(name, rows, end_of(rows))
    first, last = iso(rows[0].start), iso(rows[-1].start)
    call.record("tariffs/import", {"tariff": name, "first": first, "last": last})
    if call.json:
        print_json({"tariff": name, "imported": len(rows), "first": first, "last": last})
        return
    zone = call.settings.timezone
    span = f"from {local(first, zone)} to {local(last, zone)}"
    say(f"{len(rows)} prices imported for {name}, {span}")


def require_tariff(call: Call) -> None:
    """Raise ConfigError, with an example, if no tariff is configured."""
    if not call.settings.tariffs:
        raise ConfigError(_none_yet(call))


def _none_yet(call: Call) -> str:
    where = call.settings.source or "the configuration file"
    return (
        f"no tariff is configured: add one to {where} (more in docs/how-to/tariffs.md), such as"
        f"\n{_EXAMPLE}"
    )


def _chosen(call: Call, name: str | None) -> Tariff:
    """Return the tariff with a name, or the only one. Raises UsageError or ConfigError."""
    require_tariff(call)
    try:
        return call.storage.costs.tariff(name)
    except CommandError as error:
        raise misuse(str(error)) from None


def _read(file: Path, zone: str) -> "list[PriceRow]":
    try:
        return read_prices(file.read_text(encoding="utf-8").splitlines(), zone)
    except UnicodeDecodeError:
        raise misuse(f"{file} is not text in UTF-8: export it as CSV in UTF-8") from None
    except OSError as error:
        raise misuse(f"{file} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise misuse(f"{file}: {error}") from None


def _shape(tariff: Tariff) -> dict[str, object]:
    shape: dict[str, object] = tariff.model_dump(mode="json")
    for key in ("import_price", "export_price", "fee_per_day", "fee_per_month"):
        value = getattr(tariff, key)
        shape[key] = None if value is None else float(value)
    return shape


def _spoken(window: Window) -> str:
    """Describe a window in one line, with its conditions."""
    given = window.model_dump(exclude_defaults=True)
    parts = [f"{window.begin:%H:%M}-{window.end:%H:%M}", " ".join(given.pop("weekdays", ()))]
    parts += [f"{key} {value}" for key, value in given.items() if key not in {"begin", "end"}]
    return ", ".join(filter(None, parts))


def _price(row: "PriceRow") -> dict[str, object]:
    bought, sold = row.prices.bought, row.prices.sold
    return {
        "start": iso(row.start),
        "price": None if bought is None else float(bought),
        "export": None if sold is None else float(sold),
    }


def _print_prices(prices: list[dict[str, object]], zone: str) -> None:
    rows = [
        (local(str(price["start"]), zone), _cell(price["price"]), _cell(price["export"]))
        for price in prices
    ]
    print_table(("start", "price", "export"), rows, right=("price", "export"))


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(str, value))
    return str(value)
