from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.statistics import HOUR, MIDNIGHT, MINUTE, RESOLUTIONS, Workshop, minutes

from esquirell.domain.reading import Reading


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
    drawn = [-900.0, 600.0, 1200.0, 0.0]
    shop.put(*[(MIDNIGHT + 5 * n * MINUTE, {"active_power": w}) for n, w in enumerate(drawn)])
    shop.rollup()
    assert shop.values("hour", "peak_demand") == [pytest.approx(0.3)]


def test_means_are_weighted_by_time(shop: Workshop) -> None:
    watts = [(0, 100.0), (10, 1000.0), (11, 100.0), (20, 400.0), (30, 100.0), (40, 100.0)]
    shop.put(*[(MIDNIGHT + at * MINUTE, {"active_power": w}) for at, w in watts])
    shop.rollup()
    (hour,) = shop.found("hour")
    # Until 55 minutes past: for so long the last reading holds.
    assert hour.seconds == 55 * 60
    assert hour.values["active_power_mean"] == pytest.approx((44 * 100 + 1000 + 10 * 400) / 55)


def test_a_repeated_value_changes_no_mean_and_no_peak(shop: Workshop) -> None:
    drawn = [(minute, {"active_power": float(minute * 37 % 1000)}) for minute in range(0, 150, 7)]
    shop.put(*[(MIDNIGHT + at * MINUTE, values) for at, values in drawn])
    shop.rollup()
    before = shop.everything()
    shop.put(*[(MIDNIGHT + (at + 3) * MINUTE, values) for at, values in drawn[:-1]])
    shop.rollup()
    for resolution, found in shop.everything().items():
        assert [one.values for one in found] == [one.values for one in before[resolution]]


def test_the_value_at_the_end_of_an_hour_holds_into_the_next(shop: Workshop) -> None:
    shop.put((MIDNIGHT + 50 * MINUTE, {"active_power": 900.0}))
    shop.put((MIDNIGHT + 63 * MINUTE, {"active_power": 100.0}))
    shop.put((MIDNIGHT + 69 * MINUTE, {"voltage": 230.0}))
    shop.rollup()
    _, hour = shop.found("hour")
    assert hour.values["active_power_mean"] == pytest.approx((3 * 900 + 6 * 100) / 9)
    assert hour.values["active_power_max"] == 900.0
    assert shop.everything() == shop.from_scratch()


def test_a_reading_stores_how_long_it_holds(shop: Workshop) -> None:
    shop.readings.add(
        [
            Reading("main", MIDNIGHT, {"active_power": 900.0}, holds_s=180),
            Reading("main", MIDNIGHT + 30 * MINUTE, {"active_power": 0.0}, holds_s=180),
        ],
        {},
    )
    shop.rollup()
    (hour,) = shop.found("hour")
    assert (hour.seconds, hour.values["active_power_mean"]) == (360, 450.0)


def test_an_hour_that_is_not_over_counts_until_now(shop: Workshop) -> None:
    shop.now = MIDNIGHT + 20 * MINUTE
    shop.put((MIDNIGHT, {"voltage": 220.0}), (MIDNIGHT + 15 * MINUTE, {"voltage": 240.0}))
    shop.rollup()
    assert shop.values("hour", "voltage_mean") == [pytest.approx(225.0)]


def test_days_weigh_their_hours_by_the_time_that_is_known(shop: Workshop) -> None:
    shop.put(*[(MIDNIGHT + n * MINUTE, {"active_power": 100.0}) for n in range(60)])
    shop.put(*[(MIDNIGHT + n * MINUTE, {"active_power": 400.0}) for n in range(60, 76)])
    shop.rollup()
    assert shop.values("day", "active_power_mean") == [pytest.approx((60 * 100 + 30 * 400) / 90)]


def test_reports_between_two_readings_count_for_minimum_and_maximum(
    shop: Workshop,
) -> None:
    seen = {"active_power": (50.0, 4000.0)}
    first = Reading("main", MIDNIGHT, {"active_power": 100.0})
    shop.readings.add([first, replace(first, measured_at=MIDNIGHT + MINUTE, ranges=seen)], {})
    shop.rollup()
    (hour,) = shop.found("hour")
    assert hour.values == {
        "active_power_min": 50.0,
        "active_power_mean": 100.0,
        "active_power_max": 4000.0,
        "peak_demand": 0.1,
    }


@pytest.mark.parametrize(
    ("pause_s", "step", "count", "kwh"),
    [
        (1, 1.3, 1, 1.3),  # 65 readings of one second, then 1.3 kWh at once
        (10, 5.5, 11, 60.5),
        (30, 11.0, 11, 121.0),
    ],
)
def test_however_coarse_a_counter_is_no_step_is_lost(
    shop: Workshop, pause_s: int, step: float, count: int, kwh: float
) -> None:
    idle = 65 if pause_s == 1 else 1800 // pause_s
    readings = [
        (MIDNIGHT + n * timedelta(seconds=pause_s), {"energy_import": 1000.0 + n // idle * step})
        for n in range(count * idle + 1)
    ]
    shop.put(*readings)
    shop.rollup()
    for resolution in RESOLUTIONS:
        found = filter(None, shop.values(resolution, "energy_import"))
        assert sum(found) == pytest.approx(kwh)


def test_where_a_gap_was_spread_hours_are_estimated(shop: Workshop) -> None:
    shop.put(*minutes(2 * 60 + 30))
    shop.put((MIDNIGHT + 330 * MINUTE, {"energy_import": 109.0}))
    shop.rollup()
    estimated = [one.start for one in shop.found("hour") if one.estimated]
    assert estimated == [MIDNIGHT + hour * HOUR for hour in (2, 3, 4, 5)]
    assert [one.estimated for one in shop.found("day") + shop.found("month")] == [False, False]


def test_where_nothing_was_used_nothing_is_estimated(shop: Workshop) -> None:
    shop.put((MIDNIGHT, {"energy_import": 5.0}), (MIDNIGHT + 6 * HOUR, {"energy_import": 5.0}))
    shop.rollup()
    assert [one.estimated for one in shop.found("hour")] == [False] * 7


def test_energy_over_midnight_makes_two_days_estimates(shop: Workshop) -> None:
    shop.put((MIDNIGHT - 2 * HOUR, {"energy_import": 5.0}))
    shop.put((MIDNIGHT + 2 * HOUR, {"energy_import": 9.0}))
    shop.rollup()
    assert [(one.values["energy_import"], one.estimated) for one in shop.found("day")] == [
        (2.0, True),
        (2.0, True),
    ]


def test_a_sum_that_begins_again_is_no_energy(shop: Workshop) -> None:
    shop.put((MIDNIGHT, {"energy_import": 5.0}), (MIDNIGHT + MINUTE, {"energy_import": 5.5}))
    anew = Reading(
        "main",
        MIDNIGHT + 2 * MINUTE,
        {"energy_import": 1064.0, "energy_export": 7.5},
        begins=frozenset({"energy_import"}),
    )
    shop.readings.add([anew], {})
    shop.put((MIDNIGHT + 3 * MINUTE, {"energy_import": 1064.25, "energy_export": 7.75}))
    shop.rollup()
    assert shop.values("hour", "energy_import") == [0.75]
    assert shop.values("hour", "energy_export") == [0.25]
    shop.put((MIDNIGHT + 2 * HOUR, {"energy_import": 1064.25}))
    shop.rollup()
    shop.now = MIDNIGHT + timedelta(days=9)
    shop.prune()
    assert shop.from_scratch()["hour"][0].values["energy_import"] == 0.75
