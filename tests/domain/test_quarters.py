from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.hour import Batch
from esquirell.domain.hours import Hours, quarters
from esquirell.domain.periods import Calendar
from esquirell.domain.statistic import Statistic

START = datetime(2026, 10, 25, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
CALENDAR = Calendar("Europe/Warsaw")


def batch_of(*values: tuple[float, dict[str, float]]) -> Batch:
    """Return readings at minutes from the start."""
    keys = dict.fromkeys(key for _, of in values for key in of)
    moments = [(START + timedelta(minutes=at)).timestamp() for at, _ in values]
    return Batch(moments, {key: [of.get(key) for _, of in values] for key in keys})


def by_minute(*batches: Batch, now: datetime = LATER) -> dict[float, Statistic]:
    """Work up readings; by the minutes, from the start, at which their quarters begin."""
    said = quarters("main", batches, CALENDAR, now)
    return {(one.start - START) / timedelta(minutes=1): one for one in said}


def found(*values: tuple[float, dict[str, float]]) -> dict[float, Statistic]:
    return by_minute(batch_of(*values))


def test_energy_is_spread_evenly_over_the_time_between_two_readings() -> None:
    said = found((10, {"energy_import": 5.0}), (50, {"energy_import": 9.0}))
    assert {at: one.values["energy_import"] for at, one in said.items()} == {
        0: 0.5,
        15: 1.5,
        30: 1.5,
        45: 0.5,
    }
    assert [one.readings for one in said.values()] == [1, 0, 0, 1]
    # After more than a quarter of an hour of silence nobody knows when it was used.
    assert [one.estimated for one in said.values()] == [True, True, True, True]


def test_readings_every_few_minutes_are_no_estimate() -> None:
    said = found(*((float(at), {"energy_import": at / 10}) for at in range(0, 60, 5)))
    assert not any(one.estimated for one in said.values())


def test_a_restarted_sum_adds_nothing_and_continues_from_there() -> None:
    values = ((1, {"energy_import": 900.0}), (2, {"energy_import": 1.0}))
    last = (3.0, {"energy_import": 1.5})
    said = by_minute(replace(batch_of(*values, last), begins={1: ["energy_import"]}))
    assert said[0].values["energy_import"] == 0.5
    # One that is below without it was put in a wrong place by a wrong clock.
    said = found(*values, last, (4, {"energy_import": 900.25}))
    assert said[0].values["energy_import"] == 0.25


def test_reports_between_readings_count_as_extremes() -> None:
    values = ((0.0, {"voltage": 230.0}), (5.0, {"voltage": 230.0}))
    said = by_minute(replace(batch_of(*values), ranges={1: {"voltage": (201.0, 251.0)}}))
    assert said[0].values == {"voltage_min": 201, "voltage_mean": 230, "voltage_max": 251}


def test_a_quarter_that_is_not_over_counts_until_now() -> None:
    values = batch_of((0, {"voltage": 230.0}), (2, {"voltage": 240.0}))
    said = by_minute(values, now=START + timedelta(minutes=4))
    assert said[0].values["voltage_mean"] == 235


def test_means_are_weighted_by_time_and_extremes_are_those_read() -> None:
    said = found((0, {"voltage": 230.0}), (12, {"voltage": 240.0}), (15, {"voltage": 250.0}))
    assert said[0].values == {"voltage_min": 230, "voltage_mean": 232, "voltage_max": 240}


def test_a_value_holds_for_a_quarter_at_most() -> None:
    said = found((0, {"voltage": 230.0}), (60, {"voltage": 240.0}))
    assert [*said] == [0, 60]


def test_a_counter_that_is_silent_is_made_up_for() -> None:
    said = found(
        (0, {"energy_import": 1.0}), (30, {"voltage": 230.0}), (60, {"energy_import": 2.0})
    )
    assert [said[at].values["energy_import"] for at in (0, 15, 30, 45)] == [0.25] * 4


@given(
    steps=st.lists(
        st.tuples(st.floats(0.1, 400), st.integers(0, 5_000_000), st.booleans()),
        min_size=1,
        max_size=50,
    )
)
def test_quarters_add_up_to_the_last_less_the_first_and_hours_to_the_same(
    steps: list[tuple[float, int, bool]],
) -> None:
    at, total = 0.0, 100_000_000  # in mWh, as finely as a sum is stored
    values: list[tuple[float, dict[str, float]]]
    values = [(at, {"energy_import": total / 1e6, "voltage": 230.0})]
    for minutes, energy, speaks in steps:
        at, total = at + minutes, total + energy
        values.append((at, {"energy_import": total / 1e6} if speaks else {"voltage": 230.0}))
    values.append((at + 1, {"energy_import": total / 1e6, "voltage": 230.0}))
    # However they are divided into batches.
    batches = [batch_of(*of) for _, of in groupby(values, lambda one: one[0] // 15)]
    said = by_minute(*batches)
    used: float = sum(one.values.get("energy_import", 0.0) for one in said.values())
    assert used == pytest.approx(total / 1e6 - 100, abs=1e-9)
    hours = Hours(CALENDAR, START, START, {}, LATER)
    hours.add(batch_of(*values))
    for hour in hours.worked_up(LATER.timestamp()):
        parts = [one for one in said.values() if hour.begin <= one.start.timestamp() < hour.end]
        within: float = sum(one.values.get("energy_import", 0.0) for one in parts)
        assert within == pytest.approx(hour.values.get("energy_import", 0.0), abs=1e-9)
