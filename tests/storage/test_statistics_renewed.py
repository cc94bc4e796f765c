"""Statistics that are worked up again: late readings, other zones, thinned-out ones, in steps."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from support.statistics import EVER, HOUR, MIDNIGHT, MINUTE, RESOLUTIONS, Workshop, minutes

from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Reading
from esquirell.services.retention import Retention
from esquirell.storage import tables
from esquirell.storage.database import Database
from esquirell.storage.statistics.store import Transaction


def test_late_readings_are_included(shop: Workshop) -> None:
    every = list(minutes(300))
    shop.put(*every[:100], *every[200:])
    shop.rollup()
    before = shop.everything()
    shop.put(*every[100:200])
    shop.rollup()
    assert shop.everything() != before
    assert shop.found("hour")[2].readings == 60
    assert shop.everything() == shop.from_scratch()


@pytest.mark.parametrize("newer_first", [True, False])
def test_one_batch_may_bring_late_readings_and_new_ones(shop: Workshop, newer_first: bool) -> None:
    every = list(minutes(300))
    shop.put(*every[:100], *every[200:240])
    shop.rollup()
    batch = [*every[240:], *every[100:200]] if newer_first else every[100:200] + every[240:]
    shop.put(*batch)
    shop.rollup()
    assert [hour.readings for hour in shop.found("hour")] == [60] * 5
    assert shop.everything() == shop.from_scratch()


def test_a_step_never_holds_more_than_a_few_hours_at_once(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans: list[timedelta] = []
    for name in ("readings", "first_readings"):
        reads = getattr(Transaction, name)

        def look(
            transaction: Transaction,
            since: datetime,
            until: datetime,
            reads: Callable[..., object] = reads,
        ) -> object:
            spans.append(until - since)
            return reads(transaction, since, until)

        monkeypatch.setattr(Transaction, name, look)
    shop.put(*minutes(30 * 60))
    shop.rollup()
    assert len(spans) >= 5
    assert max(spans) <= 6 * HOUR


def test_a_reading_from_the_future_waits_for_its_time(shop: Workshop) -> None:
    shop.now = MIDNIGHT + 2 * HOUR
    shop.put((MIDNIGHT, {"energy_import": 1.0}), (MIDNIGHT + 9 * HOUR, {"energy_import": 10.0}))
    shop.rollup()
    assert len(shop.found("hour")) == 1
    shop.now = MIDNIGHT + 9 * HOUR
    shop.rollup()
    assert sum(filter(None, shop.values("hour", "energy_import"))) == pytest.approx(9)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Asia/Kathmandu"])
def test_another_zone_has_other_days_and_hours_of_the_same_energy(
    database: Database, zone: str
) -> None:
    shop = Workshop(database)
    shop.put(*minutes(4 * 24 * 60 + 1))
    shop.rollup()
    here = shop.everything()
    assert len(here["day"]) == 5
    moved = Workshop(database, zone)
    moved.rollup()
    there = moved.everything()
    assert sum(one.values.get("energy_import", 0) for one in there["hour"]) == pytest.approx(57.6)
    assert sum(one.values["energy_import"] for one in there["day"]) == pytest.approx(57.6)
    assert [one.hours for one in there["day"][1:-1]] == [24] * (len(there["day"]) - 2)
    assert moved.everything() == moved.from_scratch()
    shop.rollup()
    assert shop.everything() == here


def test_hours_of_another_zone_keep_what_their_thinned_out_readings_said(
    database: Database,
) -> None:
    shop = Workshop(database)
    shop.put(*minutes(2 * 24 * 60))
    shop.rollup()
    shop.now = MIDNIGHT + timedelta(days=9)
    shop.prune()
    moved = Workshop(database, "Asia/Kolkata")
    moved.rollup()
    hours = moved.found("hour")
    assert sum(one.values.get("energy_import", 0) for one in hours) == pytest.approx(28.79)
    assert {one.values["active_power_min"] for one in hours} == {500.0}
    assert {one.values["active_power_max"] for one in hours} == {509.0}
    assert all(abs(one.readings - 60) <= 1 for one in hours[1:-1])
    assert hours[5].values["active_power_mean"] == pytest.approx(504.5)
    again = moved.everything()
    moved.statistics.rollup(MIDNIGHT)
    assert moved.everything() == again


def test_the_local_time_of_hours_follows_the_zone(database: Database) -> None:
    shop = Workshop(database)
    shop.put(*minutes(120))
    shop.now = MIDNIGHT + timedelta(days=9)
    shop.rollup()
    shop.prune()
    Workshop(database, "America/New_York").rollup()
    with database.read() as connection:
        query = select(tables.statistic.c.local_start).where(
            tables.statistic.c.resolution == "hour"
        )
        starts = connection.execute(query.order_by(tables.statistic.c.start)).scalars().all()
    assert starts == ["2026-11-21 18:00-05:00", "2026-11-21 19:00-05:00"]


def test_from_a_moment_on_all_is_worked_up_again(shop: Workshop) -> None:
    shop.put(*minutes(200))
    shop.rollup()
    assert shop.statistics.rollup() == {"main": 0}
    assert shop.statistics.rollup(MIDNIGHT + 2 * HOUR) == {"main": 80}
    shop.statistics.step_readings = 7
    assert shop.statistics.rollup(MIDNIGHT) == {"main": 200}
    assert shop.everything() == shop.from_scratch()


def test_old_readings_are_thinned_out_and_statistics_stay(shop: Workshop) -> None:
    shop.put(*minutes(3 * 24 * 60))
    shop.rollup()
    before = shop.everything()
    shop.now = MIDNIGHT + timedelta(days=3)
    assert shop.prune() == 2 * 24 * 58
    assert shop.readings.counts() == {"main": 24 * 60 + 2 * 24 * 2}
    assert shop.prune() == 0
    shop.statistics.rollup(MIDNIGHT)
    assert shop.everything() == before


def test_readings_missing_in_the_statistics_are_not_removed(shop: Workshop) -> None:
    shop.put(*minutes(120))
    shop.now = MIDNIGHT + timedelta(days=30)
    assert shop.prune() == 0
    shop.rollup()
    assert shop.prune() == 58


def test_readings_stored_late_are_pruned_too(shop: Workshop) -> None:
    every = list(minutes(180))
    shop.put(*every[:60], *every[120:])
    shop.now = MIDNIGHT + timedelta(days=30)
    shop.rollup()
    shop.prune()
    shop.put(*every[60:120])
    shop.rollup()
    assert shop.values("day", "energy_import") == pytest.approx([1.79])
    assert shop.found("day")[0].readings == 179 + 1
    assert shop.prune() == 58


def test_two_at_once_do_no_harm(shop: Workshop) -> None:
    shop.put(*minutes(6 * 60))
    other = Workshop(shop.database)
    failed: list[Exception] = []

    def work(one: Workshop) -> None:
        try:
            one.rollup()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells
            failed.append(error)

    threads = [threading.Thread(target=work, args=[one]) for one in (shop, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert shop.everything() == shop.from_scratch()


STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 29, 60, 61, 500]),  # minutes since the one before
        st.one_of(st.none(), st.sampled_from([0.0, 0.01, 0.4, 3.0, -50.0])),
        st.booleans(),
    ),
    max_size=30,
)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, batches=st.lists(st.integers(0, 29), max_size=5), chance=st.randoms())
def test_step_by_step_in_any_order_is_as_from_scratch(
    sqlite: Database,
    steps: list[tuple[int, float | None, bool]],
    batches: list[int],
    chance: random.Random,
) -> None:
    shop = Workshop(sqlite)
    shop.clear()
    shop.statistics.step_readings = 3
    readings = list(_story(steps))
    chance.shuffle(readings)
    for begin, end in itertools.pairwise([0, *sorted(batches), len(readings)]):
        shop.put(*readings[begin:end])
        shop.rollup()
    found = shop.everything()
    shop.statistics.step_readings = 10_000
    assert found == shop.from_scratch()


def _story(
    steps: list[tuple[int, float | None, bool]],
) -> Iterator[tuple[datetime, dict[str, float]]]:
    at, kwh = MIDNIGHT, 100.0
    for pause, step, exports in steps:
        at += pause * MINUTE
        values = {"active_power": 100.0}
        if step is not None:
            kwh = max(0.0, round(kwh + step, 2))
            values["energy_import"] = kwh
        if exports:
            values["energy_export"] = kwh / 2
        yield at, values


def test_an_hour_of_a_single_reading_is_not_thinned_out(shop: Workshop) -> None:
    shop.put((MIDNIGHT, {"voltage": 230.0}), (MIDNIGHT + 2 * HOUR, {"voltage": 231.0}))
    shop.rollup()
    assert shop.prune() == 0
    assert shop.readings.counts() == {"main": 2}


def test_a_step_takes_ten_thousand_readings_and_the_rest_of_their_six_hours(
    sqlite: Database,
) -> None:
    shop = Workshop(sqlite)
    pace = timedelta(seconds=2)
    shop.put(*((MIDNIGHT + n * pace, {"voltage": 230.0}) for n in range(13 * 1800)))
    assert shop.statistics.steps(["main"]) == {"main": 6 * 1800}


def test_a_step_takes_a_week_of_thinned_out_history(sqlite: Database) -> None:
    shop = Workshop(sqlite)
    shop.now = MIDNIGHT + 30 * 24 * HOUR
    shop.put(*((MIDNIGHT + n * HOUR / 2, {"voltage": 230.0}) for n in range(30 * 48)))
    assert shop.statistics.steps(["main"]) == {"main": 7 * 48}


def test_only_new_readings_are_counted(shop: Workshop) -> None:
    every = list(minutes(90))
    shop.put(*every[:80])
    assert shop.statistics.rollup() == {"main": 80}
    shop.put(*every[80:])
    assert shop.statistics.rollup() == {"main": 10}
    assert shop.statistics.rollup() == {"main": 0}


@pytest.mark.parametrize("milliseconds", [-1, 1])
def test_a_reading_next_to_where_all_was_worked_up_to_is_taken_in(
    shop: Workshop, milliseconds: int
) -> None:
    shop.now = MIDNIGHT + 2 * HOUR + 30 * MINUTE
    shop.put(*minutes(150))
    shop.rollup()
    with shop.database.read() as connection:
        done_to = connection.scalar(select(tables.rollup.c.done_to))
    assert done_to is not None
    late = done_to + timedelta(milliseconds=milliseconds)
    shop.put((late, {"active_power": 9000.0}))
    shop.rollup()
    assert shop.everything() == shop.from_scratch()
    assert 9000.0 in shop.values("hour", "active_power_max")


def of_garage(shop: Workshop) -> list[object]:
    """Return all that is stored of the garage: readings, statistics, and how far they are."""
    kept: list[object] = [*shop.readings.query(["garage"], *EVER)]
    for resolution in RESOLUTIONS:
        kept += [one for one in shop.found(resolution) if one.meter == "garage"]
    with shop.database.read() as connection:
        rows = connection.execute(select(tables.rollup, tables.meter.c.name).join(tables.meter))
        kept += [row for row in rows.all() if row.name == "garage"]
    return kept


def test_work_for_one_meter_changes_no_other(database: Database) -> None:
    shop = Workshop(database)
    for name in ("garage", "main"):
        shop.readings.add([Reading(name, at, values) for at, values in minutes(150)], {})
    shop.rollup()
    garage = of_garage(shop)
    assert len(garage) == 150 + 3 + 1 + 1 + 1
    # Late readings, all anew, thinned out, and in another zone.
    shop.put((MIDNIGHT + MINUTE / 2, {"energy_import": 100.005}))
    shop.statistics.rollup(meters=["main"])
    assert of_garage(shop) == garage
    shop.statistics.rollup(MIDNIGHT + 2 * HOUR, ["main"])
    assert of_garage(shop) == garage
    with shop.store.transaction("main") as transaction:
        assert transaction.prune([(MIDNIGHT, MIDNIGHT + HOUR)]) == 59
        transaction.set_pruned_to(MIDNIGHT + HOUR)
    assert of_garage(shop) == garage
    moved = Workshop(database, "Asia/Kolkata")
    moved.statistics.rollup(meters=["main"])
    assert of_garage(shop) == garage
    days = [one.start for one in moved.found("day") if one.meter == "main"]
    assert {day.minute for day in days} == {30}


@pytest.mark.parametrize(("hours", "removed"), [(11, None), (13, 58)])
def test_housekeeping_thins_out_only_what_was_read_for_half_of_the_time_that_is_kept(
    shop: Workshop, hours: int, removed: int | None
) -> None:
    shop.put(*minutes(60))
    shop.now = MIDNIGHT + timedelta(days=10)
    shop.put((shop.now - hours * HOUR, {"energy_import": 101.0}))
    shop.rollup()
    retention = Retention(shop.store, Calendar(shop.zone), timedelta(days=1), lambda: shop.now)
    assert retention.step("main") == removed
    assert retention.step("main") is None
