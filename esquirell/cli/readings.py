"""`esquirell readings`: what is stored."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from esquirell.cli import history
from esquirell.cli.call import Call, Command, misuse, pass_call
from esquirell.cli.history import Columns
from esquirell.cli.moments import moment
from esquirell.domain.nearest import nearest
from esquirell.domain.quantity import QUANTITIES, is_quantity_key, split_key
from esquirell.domain.reading import Reading

_FORMATS = ("table", "csv", "json")


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
    help="Only these: voltage_a, or voltage for all its phases where there is no total.",
)
@click.option(
    "--resolution",
    type=click.Choice(["raw"]),
    expose_value=False,  # there is one so far
    help="One row per reading.",
)
@click.option("--format", "form", type=click.Choice(_FORMATS), help="How to print them.")
@pass_call
def readings(
    call: Call,
    name: str | None,
    since: str,
    until: str,
    quantities: Sequence[str],
    form: str | None,
) -> None:
    """Show the stored readings of one meter or of all, by default those of the last 24 hours.

    A moment is a date, a date with a time (with a zone or in the configured one), or how long
    ago it was: 30m, 24h, 7d. A table is for people: piped, it is tab-separated and complete.
    """
    if call.json and form not in {None, "json"}:
        raise misuse(f"--json and --format {form} exclude each other")
    begin, end = _span(call, since, until)
    columns = _columns(call, name, quantities)
    found = call.readings.query([name] if name else None, begin, end, columns.wanted)
    _print(found, columns, "json" if call.json else form or "table", call.settings.timezone)


def _span(call: Call, since: str, until: str) -> tuple[datetime, datetime]:
    now, zone = datetime.now(UTC), call.settings.timezone
    moments = []
    for option, text in (("--since", since), ("--until", until)):
        try:
            moments.append(moment(text, now, zone))
        except ValueError as error:
            raise misuse(f"{option}: {error}") from None
    begin, end = moments
    if begin > end:
        raise misuse(f"--since {since} lies after --until {until}: nothing is between them")
    return begin, end


def _columns(call: Call, name: str | None, quantities: Sequence[str]) -> Columns:
    known = {meter: status.keys for meter, status in call.readings.statuses().items()}
    if name:
        if name not in known and name not in {meter.name for meter in call.settings.meters}:
            raise misuse(f"there is no meter {name!r}; known: {', '.join(known)}")
        known = {name: known.get(name, ())}
    wanted = [key.strip() for text in quantities for key in text.split(",") if key.strip()]
    if not wanted:
        return Columns(known, None)
    everything = {key for keys in known.values() for key in keys}
    chosen = tuple(dict.fromkeys(key for text in wanted for key in _keys(text, everything)))
    return Columns(dict.fromkeys(known, chosen), chosen)


def _keys(wanted: str, known: set[str]) -> Iterator[str]:
    """Give a key itself; for a quantity that is measured in parts only, the parts."""
    if not is_quantity_key(wanted):
        closest = nearest(wanted, {*QUANTITIES, *known})
        raise misuse(f"--quantity: {wanted!r} is no quantity; the nearest is {closest}")
    parts = [key for key in sorted(known) if split_key(key)[0].key == wanted]
    yield from [wanted] if wanted in known or not parts else parts


def _print(found: Iterator[Reading], columns: Columns, form: str, zone: str) -> None:
    match form:
        case "json":
            history.print_json(found, columns)
        case "csv":
            history.print_csv(found, columns, separator=",")
        case _:
            history.print_table(found, columns, zone)
