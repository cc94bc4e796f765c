from datetime import UTC, datetime, timedelta
from decimal import Decimal

from esquirell.domain.cost import PriceRow
from esquirell.domain.tariff import Prices as Rates
from esquirell.storage.database import Database
from esquirell.storage.prices import Prices

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(hour: int, price: str | None) -> PriceRow:
    bought = None if price is None else Decimal(price)
    return PriceRow(NOON + hour * HOUR, Rates(bought, Decimal("0.1234")) if bought else Rates())


def test_prices_are_stored_to_the_last_decimal(database: Database) -> None:
    prices = Prices(database)
    rows = [row(0, "0.28415"), row(1, "-0.1"), row(2, "123456.789012")]
    prices.put("exact", rows)
    assert prices.rows("exact", NOON, NOON + 9 * HOUR) == rows


def test_the_row_that_holds_at_the_beginning_is_among_them(database: Database) -> None:
    prices = Prices(database)
    prices.put("span", [row(0, "1"), row(2, "2"), row(4, "3")])
    found = prices.rows("span", NOON + 3 * HOUR, NOON + 4 * HOUR)
    assert found == [row(2, "2")]
    assert prices.rows("span", NOON - HOUR, NOON) == []


def test_an_end_is_replaced_by_a_price_that_begins_there(database: Database) -> None:
    prices = Prices(database)
    tomorrow = [row(2, "3"), row(3, "4")]
    prices.put("days", tomorrow, NOON + 4 * HOUR)
    prices.put("days", [row(0, "1"), row(1, "2")], NOON + 2 * HOUR)
    found = prices.rows("days", NOON, NOON + 9 * HOUR)
    assert found == [row(0, "1"), row(1, "2"), *tomorrow, row(4, None)]


def test_tariffs_do_not_touch_each_other(database: Database) -> None:
    prices = Prices(database)
    prices.put("one", [row(0, "1")])
    prices.put("two", [row(0, "2"), row(1, "3")])
    assert prices.rows("one", NOON, NOON + HOUR) == [row(0, "1")]
    counts = prices.counts()
    assert (counts["one"], counts["two"]) == (1, 2)
