"""Parses lists of prices: each row is a moment and the price of a kWh from then on."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from esquirell.domain.cost import PriceRow
from esquirell.domain.tariff import Prices

COLUMNS = ("start", "price", "export")
HIGHEST = 1_000_000

_DAY = timedelta(days=1)


def read_prices(lines: Iterable[str], zone: str) -> list[PriceRow]:
    """Parse the lines of a CSV file; moments without a zone are in `zone`.

    Raises ValueError with a sentence that names the line.
    """
    rows = list(_rows(lines, ZoneInfo(zone)))
    if not rows:
        raise ValueError("there is no row below the heading")
    return rows


def end_of(rows: Sequence[PriceRow]) -> datetime | None:
    """Return when a list ends; None if its last price is valid until further notice.

    Rows at most a day apart are market prices: yesterday's says nothing about today, so the last
    one is valid for as long as the one before it.
    """
    if len(rows) == 1:
        return None
    step = rows[-1].start - rows[-2].start
    return rows[-1].start + step if step <= _DAY else None


def _rows(lines: Iterable[str], zone: ZoneInfo) -> Iterator[PriceRow]:
    text = iter(lines)
    heading = next(text, "").lstrip("\ufeff")
    separator = max(",;\t", key=heading.count)
    names = [name.strip().lower() for name in heading.strip().split(separator)]
    _check_heading(names)
    before: datetime | None = None
    for number, cells in enumerate(csv.reader(text, delimiter=separator), start=2):
        if any(cell.strip() for cell in cells):
            row = _row(dict(zip(names, cells, strict=False)), number, zone, before)
            before = row.start
            yield row


def _check_heading(names: list[str]) -> None:
    if names[:2] != list(COLUMNS[:2]) or not set(names) <= set(COLUMNS):
        raise ValueError(
            "its first line has to name the columns: start,price or start,price,export"
        )


def _row(
    cells: Mapping[str, str], number: int, zone: ZoneInfo, before: datetime | None
) -> PriceRow:
    try:
        start = _start(cells["start"].strip(), zone, before)
        prices = Prices(_price(cells.get("price", "")), _price(cells.get("export", "")))
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    return PriceRow(start, prices)


def _start(text: str, zone: ZoneInfo, before: datetime | None) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 2026-11-22T10:00") from None
    start = _in_utc(read, zone)
    if before is not None and start <= before:
        # In autumn an hour comes twice: times that go backwards belong to the second one.
        start = _in_utc(read.replace(fold=1), zone)
    if before is not None and start <= before:
        raise ValueError(f"{text} does not come after the line before: sort the file by start")
    return start


def _in_utc(moment: datetime, zone: ZoneInfo) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _price(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        price = Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        raise ValueError(f"{text.strip()!r} is no price such as 0.2841") from None
    if not price.is_finite() or abs(price) > HIGHEST:
        raise ValueError(f"{text.strip()!r} is no price of a kWh")
    return price
