"""Our hours in the terms of Home Assistant, on a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from esquirell.domain.errors import ConfigError
from esquirell.domain.long_term import HOUR, Row
from esquirell.domain.reading import Reading
from esquirell.runtime.storage import Storage
from esquirell.services.backfill_plan import Average, Counted
from esquirell.services.our_hours import OurHours, cost_booked, is_cost, is_counter
from esquirell.settings import Settings
from esquirell.storage.maintenance.migrate import upgrade

DAY = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TARIFF = {"name": "home", "currency": "EUR", "import_price": "0.5", "meters": ["main"]}


def storage_in(folder: Path, zone: str) -> Storage:
    settings = Settings.model_validate({"timezone": zone, "state_dir": folder, "tariffs": [TARIFF]})
    upgrade(settings.database_url)
    return Storage(lambda: settings, lambda: DAY + timedelta(days=40))


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = storage_in(tmp_path, "UTC")
    yield storage
    storage.database.close()


def put(storage: Storage, **series: dict[datetime, float]) -> None:
    readings = [
        Reading("main", at, {key: value}) for key, of in series.items() for at, value in of.items()
    ]
    storage.readings.add(sorted(readings, key=lambda one: one.measured_at), {})
    storage.statistics.rollup()


def hours(storage: Storage) -> OurHours:
    return OurHours(storage.periods, storage.reading_history, storage.costs, storage.calendar)


def steadily(count: int) -> dict[datetime, float]:
    """0.1 kWh in each ten minutes, from the first on."""
    return {DAY + 10 * number * MINUTE: (70 + number) / 10 for number in range(count)}


def test_each_hour_has_mean_minimum_and_maximum(storage: Storage) -> None:
    put(storage, voltage={DAY: 230.0, DAY + MINUTE: 236.0, DAY + 61 * MINUTE: 240.0})
    found, estimated = hours(storage).averages("main", "voltage", DAY + 5 * HOUR)
    assert (found[DAY].min, found[DAY].max) == (230.0, 236.0)
    assert found[DAY + HOUR] == Average(240.0, 240.0, 240.0)
    assert (list(found), estimated) == ([DAY, DAY + HOUR], set())


def test_hours_from_the_end_on_are_left_out(storage: Storage) -> None:
    put(storage, voltage={DAY + number * HOUR: 230.0 for number in range(4)})
    found, _ = hours(storage).averages("main", "voltage", DAY + 2 * HOUR)
    assert list(found) == [DAY, DAY + HOUR]
    assert hours(storage).averages("other", "voltage", DAY + 2 * HOUR) == ({}, set())


def test_energy_of_a_gap_is_estimated_and_is_no_amount(storage: Storage) -> None:
    counted = steadily(7)
    put(storage, energy_import=counted | {DAY + 5 * HOUR: 12.0})
    ours = hours(storage).energy("main", "energy_import", DAY + 9 * HOUR)
    assert list(ours.amounts) == [DAY]
    assert ours.amounts[DAY] == pytest.approx(0.6)
    assert ours.estimated == {DAY + number * HOUR for number in range(1, 5)}


def test_the_last_reading_of_an_hour_is_what_the_counter_showed(storage: Storage) -> None:
    put(storage, energy_import=steadily(12), voltage={DAY + 59 * MINUTE: 230.0})
    ours = hours(storage).energy("main", "energy_import", DAY + 9 * HOUR)
    shown = ours.positions(DAY, DAY + 2 * HOUR)
    assert shown == {DAY: Counted(7.5, 7.5), DAY + HOUR: Counted(8.1, 8.1)}
    assert list(ours.positions(DAY + HOUR, DAY + 2 * HOUR)) == [DAY + HOUR]


def test_a_cost_starts_again_each_day(storage: Storage) -> None:
    late = DAY + 23 * HOUR
    put(storage, energy_import={late + 10 * number * MINUTE: number / 10 for number in range(12)})
    ours = hours(storage).cost("main", "cost_today", DAY + 30 * HOUR)
    assert ours
    assert ours.signed
    assert list(ours.amounts.values()) == [pytest.approx(0.3), pytest.approx(0.25)]
    shown = ours.positions(DAY, DAY + 30 * HOUR)
    assert [one.state for one in shown.values()] == [pytest.approx(0.3), pytest.approx(0.25)]
    assert [one.last_reset for one in shown.values()] == [DAY, DAY + 24 * HOUR]
    assert list(ours.positions(late + HOUR, DAY + 30 * HOUR)) == [late + HOUR]
    # What was spent before the day, and in it.
    row = Row(late + HOUR, state=0.25, last_reset=DAY + 24 * HOUR)
    assert ours.place(row) == pytest.approx(0.55)


def test_a_monthly_cost_continues_over_midnight(storage: Storage) -> None:
    late = DAY + 23 * HOUR
    put(storage, energy_import={late + 10 * number * MINUTE: number / 10 for number in range(12)})
    ours = hours(storage).cost("main", "cost_this_month", DAY + 30 * HOUR)
    assert ours
    states = [one.state for one in ours.positions(DAY, DAY + 30 * HOUR).values()]
    assert states == [pytest.approx(0.3), pytest.approx(0.55)]


def test_a_meter_without_a_tariff_has_no_cost(storage: Storage) -> None:
    assert hours(storage).cost("yard", "cost_today", DAY) is None


def test_where_hours_begin_at_half_past_they_can_t_be_compared(tmp_path: Path) -> None:
    storage = storage_in(tmp_path, "Asia/Kolkata")
    put(storage, voltage={DAY: 230.0})
    with pytest.raises(ConfigError, match="the hours of Asia/Kolkata do not start on UTC's"):
        hours(storage).averages("main", "voltage", DAY + HOUR)
    storage.database.close()


def test_a_cost_adds_what_was_spent_since_its_restart() -> None:
    first = Row(DAY, state=1.0, last_reset=DAY)
    assert cost_booked(first, Row(DAY + HOUR, state=1.5, last_reset=DAY)) == 0.5
    assert cost_booked(first, Row(DAY + HOUR, state=0.25, last_reset=DAY + HOUR)) == 0.25
    assert cost_booked(Row(DAY, last_reset=DAY), Row(DAY + HOUR, last_reset=DAY)) == 0


@pytest.mark.parametrize(
    ("key", "cost", "counter"),
    [
        ("cost_today", True, True),
        ("cost_this_month", True, True),
        ("energy_import", False, True),
        ("energy_export_a", False, True),
        ("active_power", False, False),
    ],
)
def test_costs_and_energies_count(
    key: str,
    cost: bool,
    counter: bool,
) -> None:
    assert (is_cost(key), is_counter(key)) == (cost, counter)
