import itertools
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.statistics import Workshop

from esquirell.storage.database import Database

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)  # in Warsaw


@pytest.fixture
def shop(database: Database) -> Workshop:
    return Workshop(database)


def minutes(count: int, start: datetime = MIDNIGHT) -> Iterator[tuple[datetime, dict[str, float]]]:
    """Readings of each minute: 0.6 kWh in an hour, and power that repeats every ten minutes."""
    for number in range(count):
        values = {"energy_import": 100 + number / 100, "active_power": 500.0 + number % 10}
        yield start + number * MINUTE, values


def test_hours_days_and_months(shop: Workshop) -> None:
    shop.put(*minutes(24 * 60 + 61))
    shop.rollup()
    hours, days, months = shop.everything().values()
    assert [one.start for one in hours[:2]] == [MIDNIGHT, MIDNIGHT + HOUR]
    assert (len(hours), len(days), len(months)) == (26, 2, 1)
    assert hours[0].values == {
        "energy_import": pytest.approx(0.6),
        "active_power_min": 500.0,
        "active_power_mean": 504.5,
        "active_power_max": 509.0,
        "peak_demand": pytest.approx(0.6),
    }
    assert (hours[0].readings, days[0].readings, days[0].hours) == (60, 24 * 60, 24)
    assert days[0].values["energy_import"] == pytest.approx(14.4)
    assert months[0].values["energy_import"] == pytest.approx(15.0)
    assert months[0].start == datetime(2026, 10, 31, 23, tzinfo=UTC)


def test_the_days_on_which_clocks_change(shop: Workshop) -> None:
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    shop.put(*minutes(26 * 60, start))
    shop.rollup()
    assert shop.values("day", "energy_import")[0] == pytest.approx(15.0)
    assert shop.found("day")[0].hours == 25


def test_a_gap_is_spread_over_its_hours(shop: Workshop) -> None:
    shop.put((MIDNIGHT, {"energy_import": 10.0}))
    shop.rollup()
    shop.put((MIDNIGHT + 5 * HOUR, {"energy_import": 15.0}))
    shop.rollup()
    assert shop.values("hour", "energy_import") == [1, 1, 1, 1, 1, None]
    assert shop.values("day", "energy_import") == pytest.approx([5])


def test_a_key_that_was_away_longer_than_the_others_has_its_own_gap(shop: Workshop) -> None:
    shop.put((MIDNIGHT, {"energy_import": 10.0, "energy_export": 1.0}))
    shop.put(*[(MIDNIGHT + hour * HOUR, {"energy_import": 10.0 + hour}) for hour in range(1, 4)])
    shop.rollup()
    shop.put((MIDNIGHT + 4 * HOUR, {"energy_import": 14.0, "energy_export": 3.0}))
    shop.rollup()
    assert shop.values("hour", "energy_export") == [0.5, 0.5, 0.5, 0.5, None]
    assert shop.everything() == shop.from_scratch()


def test_readings_that_come_late_are_taken_in(shop: Workshop) -> None:
    every = list(minutes(300))
    shop.put(*every[:100], *every[200:])
    shop.rollup()
    before = shop.everything()
    shop.put(*every[100:200])
    shop.rollup()
    assert shop.everything() != before
    assert shop.found("hour")[2].readings == 60
    assert shop.everything() == shop.from_scratch()


def test_a_reading_from_the_future_waits_for_its_time(shop: Workshop) -> None:
    shop.now = MIDNIGHT + 2 * HOUR
    shop.put((MIDNIGHT, {"energy_import": 1.0}), (MIDNIGHT + 9 * HOUR, {"energy_import": 10.0}))
    shop.rollup()
    assert len(shop.found("hour")) == 1
    shop.now = MIDNIGHT + 9 * HOUR
    shop.rollup()
    assert sum(filter(None, shop.values("hour", "energy_import"))) == pytest.approx(9)


def test_rare_keys_have_statistics_too(shop: Workshop) -> None:
    shop.put(
        *[(at, {"energy_import_1": 5.0 + number}) for number, (at, _) in enumerate(minutes(3))]
    )
    shop.put((MIDNIGHT + HOUR, {"active_power_pv1": 3.5}))
    shop.rollup()
    (day,) = shop.found("day")
    assert day.values == {
        "energy_import_1": 2.0,
        "active_power_pv1_min": 3.5,
        "active_power_pv1_mean": 3.5,
        "active_power_pv1_max": 3.5,
    }


def test_peak_demand_is_that_of_the_highest_quarter(shop: Workshop) -> None:
    shown = [0.0, 0.5, 2.0, 2.1, 2.2]
    shop.put(*[(MIDNIGHT + 15 * n * MINUTE, {"energy_import": kwh}) for n, kwh in enumerate(shown)])
    shop.rollup()
    assert shop.values("day", "peak_demand") == pytest.approx([6.0])


def test_without_a_counter_peak_demand_is_by_power_drawn(shop: Workshop) -> None:
    drawn = [-900.0, 600.0, 800.0]
    shop.put(*[(MIDNIGHT + 7 * n * MINUTE, {"active_power": w}) for n, w in enumerate(drawn)])
    shop.rollup()
    assert shop.values("hour", "peak_demand") == [pytest.approx(0.166667)]


def test_another_zone_has_other_days(database: Database) -> None:
    shop = Workshop(database)
    shop.put(*minutes(24 * 60))
    shop.rollup()
    assert len(shop.found("day")) == 1
    moved = Workshop(database, "America/New_York")
    moved.rollup()
    assert [one.hours for one in moved.found("day")] == [6, 18]
    assert moved.everything() == moved.from_scratch()


def test_from_a_moment_on_all_is_worked_up_anew(shop: Workshop) -> None:
    shop.put(*minutes(200))
    shop.rollup()
    assert shop.statistics.rollup() == {"main": 0}
    assert shop.statistics.rollup(MIDNIGHT + 2 * HOUR)["main"] >= 80
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


def test_what_is_not_in_the_statistics_is_not_removed(shop: Workshop) -> None:
    shop.put(*minutes(120))
    shop.now = MIDNIGHT + timedelta(days=30)
    assert shop.prune() == 0
    shop.rollup()
    assert shop.prune() == 58


def test_readings_that_come_after_their_time_are_thinned_out_too(shop: Workshop) -> None:
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
