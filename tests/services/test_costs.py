from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from support.bills import HOME, NOON, Contracts, Hours, ImportedPrices, billed

from esquirell.domain.cost import PriceRow
from esquirell.domain.errors import CommandError, ConfigError
from esquirell.domain.periods import Calendar
from esquirell.domain.tariff import Tariff
from esquirell.services.costs import CostQuery, Costs

NOVEMBER = (datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC))
MONTH = CostQuery(*NOVEMBER, "month")
FLAT = ("main", "fridge", "washer", "oven", "heater")


def with_fee(**fields: object) -> Tariff:
    return HOME.model_copy(update={"fee_per_month": Decimal("12.50")} | fields)


def test_today_and_this_month_begin_at_local_midnights() -> None:
    told = billed(HOME).of_late("main")
    assert told
    assert told["today"]["start"] == "2026-11-21T23:00:00.000Z"
    assert told["this_month"]["start"] == "2026-10-31T23:00:00.000Z"
    assert told["today"]["total"] == 13
    assert told["this_month"]["total"] == 21 * 24 + 13


def test_the_first_tariff_that_covers_a_meter_is_its_own() -> None:
    garage = HOME.model_copy(update={"name": "garage", "meters": ("garage",)})
    costs = billed(garage, HOME)
    found = {meter: costs.tariff_of(meter) for meter in ("garage", "main")}
    assert found == {"garage": garage, "main": HOME}


def test_without_a_tariff_there_is_no_cost() -> None:
    garage = HOME.model_copy(update={"meters": ("garage",)})
    assert billed(garage, now=NOON).of_late("main") is None


def test_a_contract_pays_its_fee_once_however_many_meters_it_has() -> None:
    rows = billed(with_fee(), meters=FLAT).read(MONTH)
    assert {row.meter: row.cost.fee.quantize(Decimal("0.0001")) for row in rows} == {
        "main": Decimal("12.5"),
        "fridge": 0,
        "washer": 0,
        "oven": 0,
        "heater": 0,
    }


def test_the_fee_is_listed_with_the_first_meter_that_has_hours() -> None:
    costs = billed(with_fee(), meters=FLAT, silent=["main"])
    assert [row.meter for row in costs.read(MONTH) if row.cost.fee] == ["fridge"]
    asked_alone = CostQuery(*NOVEMBER, "month", ["oven"])
    assert [row.cost.fee for row in costs.read(asked_alone)] == [0]
    sensor = {meter: costs.of_late(meter) for meter in FLAT}
    fees: dict[str, Any] = {name: one and one["this_month"]["fee"] for name, one in sensor.items()}
    assert [name for name, fee in fees.items() if fee] == ["fridge"]


def test_each_meter_pays_where_each_has_a_contract() -> None:
    rows = list(billed(with_fee(fee_for_each_meter=True), meters=FLAT).read(MONTH))
    assert sum(row.cost.fee for row in rows) == pytest.approx(Decimal("62.5"))


def test_meters_of_another_tariff_do_not_pay_this_ones_fee() -> None:
    own = HOME.model_copy(update={"name": "own", "meters": ("main",)})
    rows = billed(own, with_fee(), meters=FLAT).read(MONTH)
    assert [row.meter for row in rows if row.cost.fee] == ["fridge"]


def test_what_one_meter_would_cost_by_another_tariff_has_its_fee() -> None:
    other = with_fee(name="other", meters=("main",))
    costs = billed(HOME, other, meters=FLAT)
    (row,) = costs.read(CostQuery(*NOVEMBER, "month", ["oven"], "other"))
    assert row.payload()["fee"] == 12.5


def test_the_sensors_of_many_meters_look_prices_up_once() -> None:
    prices = ImportedPrices()
    costs = billed(with_fee(), meters=FLAT, prices=prices)
    for meter in FLAT:
        assert costs.of_late(meter)
    assert prices.asked == 1


def test_a_tariff_that_is_not_known_is_refused() -> None:
    with pytest.raises(CommandError, match="there is no tariff 'x'; known: home"):
        billed().billed(CostQuery(*NOVEMBER, tariff="x"))
    nobody = HOME.model_copy(update={"meters": ("garage",)})
    with pytest.raises(ConfigError, match="no tariff covers main: add it to meters of a tariff"):
        billed(nobody).billed(CostQuery(*NOVEMBER, meters=["main"]))


def test_a_tariff_is_named_where_there_are_several() -> None:
    other = HOME.model_copy(update={"name": "other"})
    assert billed(HOME).tariff(None) == billed(HOME, other).tariff("home") == HOME
    assert billed(HOME, other).tariff("other") == other
    with pytest.raises(CommandError, match=r"there are several tariffs, name one.*: home, other"):
        billed(HOME, other).tariff(None)
    with pytest.raises(CommandError, match="there is no tariff 'x'; known: home, other"):
        billed(HOME, other).tariff("x")


def test_without_any_tariff_it_is_said_how_to_add_one() -> None:
    costs = Costs(
        Hours(), ImportedPrices(), lambda: Contracts((), ["main"]), Calendar("UTC"), lambda: NOON
    )
    assert costs.tariffs == ()
    for ask in (lambda: costs.tariff(None), lambda: costs.billed(CostQuery(*NOVEMBER))):
        with pytest.raises(ConfigError, match=r"no tariff is configured: add \[\[tariffs\]\]"):
            ask()


class LookedUp(ImportedPrices):
    """Imported prices; it remembers for which spans they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[tuple[datetime, datetime]] = []

    def rows(self, tariff: str, since: datetime, until: datetime) -> list[PriceRow]:
        self.spans.append((since, until))
        return super().rows(tariff, since, until)


def test_the_price_of_a_moment_is_that_of_its_hour() -> None:
    prices = LookedUp()
    found = billed(HOME, prices=prices).price(HOME, NOON + timedelta(minutes=59))
    assert prices.spans == [(NOON, NOON + timedelta(hours=1))]
    assert found.bought == 1


def test_prices_are_looked_up_again_after_a_minute_and_when_the_tariff_has_changed() -> None:
    prices, now, tariffs = LookedUp(), [NOON], [HOME]
    costs = Costs(
        Hours(),
        prices,
        lambda: Contracts(tuple(tariffs), ["main", "fridge"]),
        Calendar("Europe/Warsaw"),
        lambda: now[0],
    )

    def looked_up(after_s: float) -> int:
        now[0] += timedelta(seconds=after_s)
        before = prices.asked
        assert costs.of_late("main")
        assert costs.of_late("fridge")
        return prices.asked - before

    assert [looked_up(after_s) for after_s in (0, 30, 29, 1, 59, 61)] == [1, 0, 0, 1, 0, 1]
    tariffs[:] = [with_fee()]
    assert looked_up(1) == 1
    now[0] = NOVEMBER[1] - timedelta(seconds=10)
    assert looked_up(0) == 1
    # In a new month that of the last one is none.
    assert looked_up(20) == 1
