from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.quarters import quarters
from esquirell.domain.reading import Reading
from esquirell.domain.statistic import Statistic

START = datetime(2026, 10, 25, tzinfo=UTC)


def found(*values: tuple[float, dict[str, float]]) -> dict[float, Statistic]:
    """Work up readings at minutes from the start; by the minutes at which their quarters begin."""
    readings = [Reading("main", START + timedelta(minutes=at), of) for at, of in values]
    return {(one.start - START) / timedelta(minutes=1): one for one in quarters("main", readings)}


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


def test_what_is_measured_every_few_minutes_is_no_estimate() -> None:
    said = found(*((float(at), {"energy_import": at / 10}) for at in range(0, 60, 5)))
    assert not any(one.estimated for one in said.values())


def test_a_counter_that_falls_adds_nothing_and_goes_on_from_there() -> None:
    said = found(
        (1, {"energy_import": 900.0}), (2, {"energy_import": 1.0}), (3, {"energy_import": 1.5})
    )
    assert said[0].values == {"energy_import": 0.5}


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
        st.tuples(st.floats(0.1, 400), st.floats(0, 5), st.booleans()), min_size=1, max_size=50
    )
)
def test_all_quarters_add_up_to_the_last_less_the_first(
    steps: list[tuple[float, float, bool]],
) -> None:
    at, total = 0.0, 100.0
    values = [(at, {"energy_import": total})]
    for minutes, energy, speaks in steps:
        at, total = at + minutes, total + energy
        values.append((at, {"energy_import": total} if speaks else {}))
    values.append((at + 1, {"energy_import": total}))
    said = sum(one.values.get("energy_import", 0.0) for one in found(*values).values())
    assert said == pytest.approx(total - 100, abs=1e-3)
