"""Counters that disagree with the power of their meter."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from esquirell.domain.counted import disagreements
from esquirell.domain.statistic import HOUR_S, Statistic

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def hour(
    number: int, kwh: float, *, watts: float = 1000.0, least: float = 0.0, estimated: bool = False
) -> Statistic:
    """Return an hour in which so much was counted."""
    values = {"active_power_min": least, "active_power_mean": watts, "energy_import": kwh}
    start = START + number * timedelta(hours=1)
    return Statistic("main", start, values, 60, 1, HOUR_S, estimated)


@pytest.mark.parametrize(
    ("hours", "counted"),
    [
        ([0.0] * 4, "0.00"),
        ([0.1] * 4, "0.30"),
        ([10.0], "10.00"),
        # A scale that was corrected two hours ago.
        ([0.1, 0.1, 0.1, 1.0, 1.0], None),
        ([1.0, 1.0, 1.0], None),
        # A counter in whole kilowatt-hours, and one that lags by half an hour.
        ([0.0, 1.0, 1.0], None),
        ([0.5, 1.0, 1.0], None),
        # Too little to say.
        ([0.0, 0.0], None),
        ([], None),
    ],
)
def test_a_counter_far_from_its_power(hours: Sequence[float], counted: str | None) -> None:
    found = disagreements(hour(number, kwh) for number, kwh in enumerate(hours))
    assert [sentence.split()[6] for sentence in found.values()] == ([counted] if counted else [])


def test_an_inverter_counts_what_it_produces() -> None:
    values = {"active_power_min": 0.0, "active_power_mean": 4000.0, "energy_export": 4.0}
    assert not disagreements([Statistic("pv", START, values, 60, 1, HOUR_S)])


def test_hours_that_say_nothing_are_left_out() -> None:
    silent = [
        *(hour(number, 0.0, least=-5.0) for number in range(9)),
        *(hour(number, 0.0, estimated=True) for number in range(9, 18)),
        Statistic("main", START, {"active_power_min": 0.0, "active_power_mean": 9000.0}, 60, 1),
        Statistic("main", START, {"energy_import": 9.0}, 60, 1),
    ]
    assert not disagreements(silent)


def test_only_the_latest_hours_count() -> None:
    wrong, right = [hour(number, 0.0) for number in range(9)], [hour(9 + n, 1.0) for n in range(3)]
    assert disagreements(wrong)
    assert not disagreements(wrong + right)
