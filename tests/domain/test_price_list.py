from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from esquirell.domain.cost import PriceRow
from esquirell.domain.price_list import end_of, read_prices

WARSAW = "Europe/Warsaw"
NOON = datetime(2026, 11, 22, 11, tzinfo=UTC)


def read(text: str) -> list[PriceRow]:
    return read_prices(text.splitlines(), WARSAW)


@pytest.mark.parametrize(
    "text",
    [
        "start,price,export\n2026-11-22T12:00,0.5,0.1",
        "\ufeffstart,price,export\n2026-11-22T11:00Z,0.5,0.1\n\n",
        "Start;Price;Export\n2026-11-22 12:00;0,5;0,1",
        "start\tprice\texport\n2026-11-22T13:00+02:00\t0.5\t0.1",
    ],
)
def test_spellings_of_one_row(text: str) -> None:
    (row,) = read(text)
    assert row.start == NOON
    assert (row.prices.bought, row.prices.sold) == (Decimal("0.5"), Decimal("0.1"))


def test_an_empty_price_is_no_price() -> None:
    (row,) = read("start,price,export\n2026-11-22,,-0.1")
    assert (row.prices.bought, row.prices.sold) == (None, Decimal("-0.1"))


def test_the_repeated_hour_in_autumn_is_read_twice() -> None:
    times = ["01:45", "02:00", "02:30", "02:00", "02:30", "03:00"]
    rows = read("start,price\n" + "\n".join(f"2026-10-25T{time},1" for time in times))
    first = rows[0].start
    minutes = [(row.start - first) // timedelta(minutes=1) for row in rows]
    assert minutes == [0, 15, 45, 75, 105, 135]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "first line has to name the columns"),
        ("start,prize\n2026-11-22,1", "first line has to name the columns"),
        ("start,price", "no row below the heading"),
        ("start,price\nyesterday,1", "line 2: 'yesterday' is not a time"),
        ("start,price\n2026-11-22,1\n2026-11-23,one", "line 3: 'one' is no price"),
        ("start,price\n2026-11-22,NaN", "line 2: 'NaN' is no price of a kWh"),
        ("start,price\n2026-11-22,1e9", "line 2: '1e9' is no price of a kWh"),
        ("start,price\n2026-11-22,1\n2026-11-21,1", "line 3: 2026-11-21 does not come after"),
    ],
)
def test_faults_are_named_with_their_line(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(text)


def test_prices_of_a_market_end_and_those_of_a_contract_hold_on() -> None:
    quarters = read("start,price\n2026-11-22T11:30,1\n2026-11-22T11:45,1")
    assert end_of(quarters) == NOON
    assert end_of(read("start,price\n2026-01-01,1\n2026-07-01,1")) is None
    assert end_of(read("start,price\n2026-01-01,1")) is None
