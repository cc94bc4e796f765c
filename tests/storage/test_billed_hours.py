"""Bills from stored hours are those that were computed hour by hour before, to the last digit."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.billed_hours import SPANS, TARIFFS, ZONE, hours, prices, tariff
from support.bills import Contracts

from esquirell.domain.periods import Calendar
from esquirell.domain.statistic import Statistic
from esquirell.services.costs import CostPeriod, CostQuery, Costs
from esquirell.storage.database import Database
from esquirell.storage.prices import Prices
from esquirell.storage.statistics.store import Statistics

COMPUTED = json.loads((Path(__file__).parents[1] / "fixtures" / "costs.json").read_text())
METERS = ("main", "barn")


@pytest.fixture
def store(database: Database) -> Statistics:
    store = Statistics(database, ZONE)
    for span in SPANS:
        for meter in METERS:
            with store.transaction(meter) as transaction:
                mine = [hour for hour in hours(span) if hour.meter == meter]
                transaction.replace_hours([(hour, None) for hour in mine], [])
    return store


@pytest.mark.parametrize("name", TARIFFS)
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("period", ["day", "month"])
def test_bills_are_the_same_to_the_last_digit(
    database: Database, store: Statistics, name: str, span: str, period: CostPeriod
) -> None:
    imported = Prices(database)
    if name == "market":
        imported.put(name, prices())
    each = tariff(name).model_copy(update={"fee_for_each_meter": True})
    contracts = Contracts([each], METERS)
    since, until = SPANS[span]
    costs = Costs(store, imported, lambda: contracts, Calendar(ZONE), lambda: until)
    found = list(costs.read(CostQuery(since, until, period)))
    for meter in METERS:
        rows = [list(row.cost.payload().values()) for row in found if row.meter == meter]
        assert rows == COMPUTED[f"{name} {span} {meter} {period}"]


def test_the_first_meter_with_hours_in_a_span(store: Statistics) -> None:
    with store.transaction("new"):
        pass
    since, until = SPANS["spring"]
    assert store.first_with_hours(["gone", "new", "barn", "main"], since, until) == "barn"
    assert store.first_with_hours(["new"], since, until) == ""
    assert store.first_with_hours(["main"], until, SPANS["autumn"][0]) == ""
    assert list(store.energies("gone", since, until)) == []


def test_more_hours_than_a_page_holds_are_all_read(sqlite: Database) -> None:
    store, begin, hour = (
        Statistics(sqlite, ZONE),
        datetime(2020, 1, 1, tzinfo=UTC),
        timedelta(hours=1),
    )
    count = 10_001
    rows = [
        (Statistic("main", begin + n * hour, {"energy_import": 1}, 1), None) for n in range(count)
    ]
    with store.transaction("main") as transaction:
        transaction.replace_hours(rows, [])
    assert len(list(store.energies("main", begin, begin + count * hour))) == count
