"""Periods that are worked up as they are read, on a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from esquirell.domain.errors import CommandError
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.runtime.storage import Storage
from esquirell.services.history import Query, Row, View
from esquirell.settings import Settings
from esquirell.storage.maintenance.migrate import upgrade

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATUS = {"main": MeterStatus(keys=("active_power", "energy_import", "voltage"))}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    settings = Settings(timezone="UTC", state_dir=tmp_path)
    upgrade(settings.database_url)
    storage = Storage(lambda: settings, lambda: NEW_YEAR + timedelta(days=300))
    yield storage
    storage.database.close()


def put(storage: Storage, *values: tuple[datetime, float]) -> None:
    storage.readings.add([Reading("main", at, {"energy_import": of}) for at, of in values], STATUS)


def found(storage: Storage, view: View, keys: tuple[str, ...] = ()) -> list[Row]:
    span = (NEW_YEAR - timedelta(days=400), NEW_YEAR + timedelta(days=400))
    return list(storage.history.read(Query(*span, view, quantities=keys)).rows)


def test_energy_over_new_year_makes_two_years_estimates(storage: Storage) -> None:
    put(storage, (NEW_YEAR - 12 * HOUR, 5.0), (NEW_YEAR + 12 * HOUR, 9.0))
    years = [(row.values["energy_import"], row.estimated) for row in found(storage, "year")]
    assert years == [(2.0, True), (2.0, True)]


def test_a_gap_within_a_year_makes_no_estimate_of_it(storage: Storage) -> None:
    put(storage, (NEW_YEAR + 24 * HOUR, 5.0), (NEW_YEAR + 1000 * HOUR, 9.0))
    years = [(row.values["energy_import"], row.estimated) for row in found(storage, "year")]
    assert years == [(4.0, False)]


@pytest.mark.parametrize("keys", [(), ("energy_import", "voltage")])
def test_quarters_take_in_what_was_seen_between_readings(
    storage: Storage, keys: tuple[str, ...]
) -> None:
    anew = Reading(
        "main",
        NEW_YEAR + 10 * timedelta(minutes=1),
        {"energy_import": 2.0, "voltage": 230.0, "active_power": 7.0},
        ranges={"voltage": (201.0, 251.0)},
        begins=frozenset({"energy_import"}),
    )
    after = Reading("main", anew.measured_at + timedelta(minutes=4), {"energy_import": 2.5})
    put(storage, (NEW_YEAR, 5.0), (NEW_YEAR + timedelta(minutes=5), 6.0))
    storage.readings.add([anew, after], STATUS)
    (row,) = found(storage, "quarter", keys)
    assert row.values["energy_import"] == 1.5
    assert (row.values["voltage_min"], row.values["voltage_max"]) == (201, 251)
    assert ("active_power_mean" in row.values) is (not keys)


def test_peak_demand_is_there_to_be_chosen_of_hours_and_longer(storage: Storage) -> None:
    put(storage, (NEW_YEAR, 5.0), (NEW_YEAR + HOUR / 4, 5.5))
    (hour,) = found(storage, "hour", ("peak_demand",))
    assert hour.values == {"peak_demand": 2.0}
    for view in get_args(View)[:2]:
        with pytest.raises(CommandError, match="peak_demand"):
            found(storage, view, ("peak_demand",))


def test_as_many_readings_as_many_pages_hold_come_to_the_same_energy(storage: Storage) -> None:
    seconds = range(3 * 3600)
    put(storage, *((NEW_YEAR + timedelta(seconds=at), at / 1000) for at in seconds))
    rows = found(storage, "quarter")
    assert [row.values["energy_import"] for row in rows] == [0.9] * 11 + [0.899]


def test_what_another_meter_sent_meanwhile_changes_no_quarter(storage: Storage) -> None:
    """The first quarter needs the reading before it, the last one the reading after."""
    near = timedelta(minutes=10)
    put(storage, (NEW_YEAR - near, 5.0), (NEW_YEAR + near, 6.0), (NEW_YEAR + HOUR + near, 8.0))
    query = Query(NEW_YEAR, NEW_YEAR + HOUR, "quarter", meters=["main"])
    alone = list(storage.history.read(query).rows)
    assert len(alone) == 4
    beside = [NEW_YEAR - near / 2, NEW_YEAR + HOUR + near / 2, NEW_YEAR + 2 * HOUR]
    storage.readings.add([Reading("yard", at, {"energy_import": 1.0}) for at in beside], STATUS)
    assert list(storage.history.read(query).rows) == alone
