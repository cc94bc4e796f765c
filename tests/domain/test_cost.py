from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from esquirell.domain.cost import (
    Cost,
    HourlyEnergy,
    HourPrices,
    PriceList,
    PriceRow,
    PriceTable,
    add_up,
)
from esquirell.domain.periods import Calendar, Period
from esquirell.domain.tariff import Prices, Tariff

WARSAW = ZoneInfo("Europe/Warsaw")
CALENDAR = Calendar("Europe/Warsaw")
HOUR = timedelta(hours=1)
NIGHT = {"begin": "22:00", "end": "06:00", "import_price": 0.5}


def tariff(**fields: object) -> Tariff:
    return Tariff.model_validate(
        {"name": "home", "currency": "PLN", "import_price": 1, "export_price": 0.2} | fields
    )


def local(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=WARSAW)  # type: ignore[arg-type,misc] # year, month, day, …


def hours(
    since: datetime, until: datetime, energy_import: float = 1.0, energy_export: float = 0.0
) -> Iterator[HourlyEnergy]:
    start = since.astimezone(UTC)
    while start < until:
        yield start, round(energy_import * 1e6), round(energy_export * 1e6)
        start += HOUR


def costs(
    of: Tariff,
    found: Iterator[HourlyEnergy],
    period: Period = "hour",
    rows: Sequence[PriceRow] = (),
) -> list[Cost]:
    table = PriceTable(HourPrices(of, PriceList(rows), CALENDAR), CALENDAR, period)
    return list(table.costs(found, bears_fee=True))


def cost(of: Tariff, since: datetime, until: datetime, **energies: float) -> Cost:
    return add_up(since, costs(of, hours(since, until, **energies)))


def test_a_day_by_a_flat_price() -> None:
    day = cost(tariff(), local(2026, 11, 22), local(2026, 11, 23))
    assert day.energy_import == day.bought == day.total == 24


def test_exported_energy_is_credited() -> None:
    hour = cost(
        tariff(), local(2026, 7, 1), local(2026, 7, 1, 1), energy_import=0.1, energy_export=3
    )
    assert hour.sold == Decimal("0.6")
    assert hour.total == Decimal("-0.5")


@pytest.mark.parametrize(
    ("day", "nights"), [((2026, 11, 22), 8), ((2026, 3, 29), 7), ((2026, 10, 25), 9)]
)
def test_a_night_window_on_days_of_24_23_and_25_hours(
    day: tuple[int, int, int], nights: int
) -> None:
    since = local(*day)
    until = local(*day) + timedelta(days=1)  # the next midnight by the clock on the wall
    found = cost(tariff(windows=[NIGHT]), since, until)
    assert found.bought == 16 + nights * Decimal("0.5")


@pytest.mark.parametrize("day", [(2026, 11, 22), (2026, 3, 29), (2026, 10, 25)])
def test_a_daily_fee_is_whole_on_every_day(day: tuple[int, int, int]) -> None:
    since, until = local(*day), local(*day) + timedelta(days=1)
    found = cost(tariff(fee_per_day=0.4), since, until)
    assert found.fee == pytest.approx(Decimal("0.4"))


@pytest.mark.parametrize("month", [2, 3, 10])
def test_a_monthly_fee_is_whole_in_every_month(month: int) -> None:
    since, until = local(2026, month, 1), local(2026, month + 1, 1)
    assert cost(tariff(fee_per_month=9.9), since, until).fee == pytest.approx(Decimal("9.9"))


def test_a_window_within_an_hour_counts_by_its_quarters() -> None:
    half = tariff(windows=[{"begin": "12:30", "end": "13:00", "import_price": 3}])
    assert cost(half, local(2026, 11, 22, 12), local(2026, 11, 22, 13)).bought == 2


def test_a_night_belongs_to_the_weekday_on_which_it_begins() -> None:
    friday = tariff(windows=[NIGHT | {"weekdays": ["fri"]}])
    at = {
        hour: friday.prices(datetime(2026, 11, day, hour, tzinfo=WARSAW)).bought
        for day, hour in ((20, 5), (20, 22), (21, 3), (21, 23))
    }
    assert at == {5: 1, 22: Decimal("0.5"), 3: Decimal("0.5"), 23: 1}


def test_prices_change_on_a_date() -> None:
    changing = tariff(
        windows=[
            {"valid_until": "2026-07-01", "import_price": 0.8},
            {"valid_from": "2027-01-01", "import_price": 1.3},
        ]
    )
    prices = [changing.prices(local(*day)).bought for day in ((2026, 6, 30), (2026, 7, 1))]
    assert prices == [Decimal("0.8"), 1]
    assert changing.prices(local(2027, 1, 1)).bought == Decimal("1.3")


def test_the_first_window_wins_for_each_price_by_itself() -> None:
    both = tariff(windows=[{"export_price": 0.9}, {"import_price": 2, "export_price": 3}])
    assert both.prices(local(2026, 11, 22)) == Prices(Decimal(2), Decimal("0.9"))


def test_imported_prices_win_and_empty_ones_leave_it_to_the_tariff() -> None:
    noon = datetime(2026, 11, 22, 11, tzinfo=UTC)
    rows = [
        PriceRow(noon, Prices(Decimal("0.1"))),
        PriceRow(noon + HOUR, Prices(Decimal("-0.3"))),
        PriceRow(noon + 2 * HOUR, Prices()),
    ]
    since, until = noon - HOUR, noon + 3 * HOUR
    bought = [one.bought for one in costs(tariff(), hours(since, until), rows=rows)]
    assert bought == [1, Decimal("0.1"), Decimal("-0.3"), 1]


def test_energy_without_a_price_is_reported_and_not_free() -> None:
    unpriced = tariff(import_price=None, windows=[{"begin": "12:30", "import_price": 2}])
    found = cost(unpriced, local(2026, 11, 22, 11), local(2026, 11, 22, 13))
    assert found.energy_import == 2
    assert found.bought == 1
    assert found.unpriced == Decimal("1.5")


@pytest.mark.parametrize(
    ("period", "count"), [("hour", 743), ("day", 31), ("month", 1), ("year", 1)]
)
def test_hours_add_up_to_periods(period: Period, count: int) -> None:
    march = hours(local(2026, 3, 1), local(2026, 4, 1))
    found = costs(tariff(fee_per_day=1), march, period)
    assert len(found) == count
    assert sum(one.total for one in found) == pytest.approx(Decimal(743 + 31))


def test_small_sums_are_not_rounded_away() -> None:
    since, until = local(2026, 11, 22), local(2026, 11, 23)
    small = cost(tariff(), since, until, energy_import=0.000004)
    assert small.total == Decimal("0.000096")
    assert small.payload()["total"] == 0.0001


def test_all_figures_of_costs_are_added_up() -> None:
    since = local(2026, 11, 22)
    parts = costs(tariff(), hours(since, since + 2 * HOUR, 3.0, 1.5))
    whole = add_up(since, parts)
    assert len(parts) == 2
    for figure in ("energy_import", "energy_export", "bought", "sold", "fee", "unpriced"):
        assert getattr(whole, figure) == sum(getattr(one, figure) for one in parts)
    assert whole.energy_export > 0
