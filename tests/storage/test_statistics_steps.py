"""A step goes on where the one before ended, and leaves nothing of what it replaces."""

import pytest
from support.statistics import HOUR, MIDNIGHT, Workshop

from esquirell.domain.reading import Reading
from esquirell.domain.statistic import Statistic

VOLTAGE = {"voltage": 230.0}


def test_an_hour_no_longer_in_a_gap_is_removed(shop: Workshop) -> None:
    shop.put((MIDNIGHT, VOLTAGE))
    shop.rollup()
    with shop.store.transaction("main") as transaction:
        transaction.replace_hours([(Statistic("main", MIDNIGHT + HOUR, {}, 0), None)], ())
    shop.put((MIDNIGHT + HOUR / 2, VOLTAGE), (MIDNIGHT + 2 * HOUR, VOLTAGE))
    shop.rollup()
    assert [one.start for one in shop.found("hour")] == [MIDNIGHT, MIDNIGHT + 2 * HOUR]


def test_a_step_goes_on_from_counters_that_were_silent_for_hours(shop: Workshop) -> None:
    for number in range(4):
        counted = {"energy_import": 100.0 + number} if number < 2 else {}
        shop.put((MIDNIGHT + (number + 0.5) * HOUR, VOLTAGE | counted))
    shop.rollup()
    shop.put((MIDNIGHT + 4.5 * HOUR, VOLTAGE | {"energy_import": 104.0}))
    shop.rollup()
    assert sum(filter(None, shop.values("hour", "energy_import"))) == pytest.approx(4.0)
    assert shop.everything() == shop.from_scratch()


def test_a_value_that_is_no_longer_measured_is_removed(shop: Workshop) -> None:
    shop.put((MIDNIGHT, VOLTAGE))
    shop.rollup()
    with shop.store.transaction("main") as transaction:
        transaction.replace(
            "day", MIDNIGHT, Statistic("main", MIDNIGHT, {"frequency_max": 50.0}, 1, 1)
        )
    assert shop.found("day")[0].values == {"frequency_max": 50.0}


def test_a_step_goes_on_from_the_counters_before_a_gap(shop: Workshop) -> None:
    shop.put(
        (MIDNIGHT, {"energy_import": 100.0}), (MIDNIGHT + 3.5 * HOUR, {"energy_import": 107.0})
    )
    shop.rollup()
    shop.put((MIDNIGHT + 4.5 * HOUR, {"energy_import": 109.0}))
    shop.rollup()
    assert shop.values("hour", "energy_import") == pytest.approx([2.0, 2.0, 2.0, 2.0, 1.0])
    assert shop.everything() == shop.from_scratch()


def test_progress_is_reported_in_days_of_the_longest_and_the_share_of_all(shop: Workshop) -> None:
    assert shop.statistics.progress(["main", "barn"]) == (0, 0)
    day = 24 * HOUR
    shop.put((MIDNIGHT, VOLTAGE), (MIDNIGHT + 8 * day, VOLTAGE))
    assert shop.statistics.progress(["main"]) == (0, 9)
    shop.rollup()
    assert shop.statistics.progress(["main"]) == (9, 9)
    shop.readings.add([Reading("barn", MIDNIGHT + at * day, VOLTAGE) for at in (0, 8)], {})
    assert shop.statistics.progress(["main", "barn"]) == (4, 9)
    assert shop.statistics.progress(["barn"]) == (0, 9)
    shop.store.rewind(["main"], MIDNIGHT + 4 * day)
    assert shop.statistics.progress(["main"]) == (4, 9)


def test_days_of_another_zone_have_to_be_worked_up_again(shop: Workshop) -> None:
    shop.put((MIDNIGHT, VOLTAGE), (MIDNIGHT + 30 * HOUR, VOLTAGE))
    shop.rollup()
    assert Workshop(shop.database, "UTC").statistics.progress(["main"]) == (0, 2)
