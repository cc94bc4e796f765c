"""Counters that disagree with the power of their meter, and right ones that seem to."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from esquirell.domain.counted import disagreement
from esquirell.domain.statistic import HOUR_S, Statistic

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
STANDS_STILL = "it counted 0.00 kWh, where its power says 3.00 kWh: the counter stands still, or"


def hour(
    number: int,
    kwh: float,
    more: Mapping[str, float] | None = None,
    *,
    watts: float = 1000.0,
    seconds: float | None = HOUR_S,
) -> Statistic:
    """Return an hour in which so much was counted."""
    power = {"active_power_min": 0.0, "active_power_mean": watts, "active_power_max": watts}
    values = power | {"energy_import": kwh} | dict(more or {})
    start = START + number * timedelta(hours=1)
    return Statistic("main", start, values, 60, 1, seconds)


def like(kwh: float, more: Mapping[str, float], *, watts: float = 1000.0) -> list[Statistic]:
    """Return twenty equal hours."""
    return [hour(number, kwh, more, watts=watts) for number in range(20)]


def without_import(known: Statistic) -> Statistic:
    """Return an hour in which that counter was null."""
    values = {name: value for name, value in known.values.items() if name != "energy_import"}
    return replace(known, values=values)


def phases(least: float, names: str = "abc") -> dict[str, float]:
    """Return the power of some phases, which is so much at least."""
    figures = {"min": least, "mean": 400.0, "max": 500.0}
    return {f"active_power_{name}_{part}": w for name in names for part, w in figures.items()}


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ([0.0] * 4, STANDS_STILL),
        ([0.1] * 4, "counted 0.30 kWh, where its power says 3.00 kWh: the counter stands still"),
        ([10.0], "counted 10.00 kWh, where its power says 1.00 kWh: one of the two has the wrong"),
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
def test_a_counter_far_from_its_power(hours: Sequence[float], said: str | None) -> None:
    found = disagreement([hour(number, kwh) for number, kwh in enumerate(hours)])
    assert said in found if said else not found


def test_three_phases_are_compared_and_so_is_the_import_of_a_house_that_exports() -> None:
    assert STANDS_STILL in disagreement(like(0.0, phases(0.0)))
    noon = hour(99, 0.0, {"energy_export": 2.0, "active_power_min": -2000.0}, watts=-2000.0)
    assert STANDS_STILL in disagreement([*like(0.0, {"energy_export": 0.0}), noon])


@pytest.mark.parametrize(
    "right",
    [
        # Both directions at once: clamps or phases that are not netted.
        pytest.param(
            [
                hour(-1, 0.0, {"active_power_min": -900.0}),
                *like(1.2, {"energy_export": 1.0, "active_power_min": 200.0}, watts=200),
            ],
            id="two ways",
        ),
        pytest.param(like(4.0, phases(-900.0)), id="a phase exports and only imports are counted"),
        pytest.param(like(4.0, phases(0.0, "ab")), id="two clamps"),
        pytest.param(like(4.0, phases(0.0, "2")), id="channels"),
        # Inverters: the power of one place, the energy of another.
        pytest.param(like(2.0, {"active_power_ac_mean": 100.0}, watts=100), id="output and grid"),
        pytest.param(like(2.0, {"voltage_pv1_mean": 40.0}, watts=100), id="panels"),
        pytest.param(like(2.0, {"energy_generated": 0.1}, watts=100), id="generated"),
        pytest.param(
            [hour(-1, 0.0, {"energy_export": 1.0}), *like(2.0, {"energy_export": 0.0}, watts=100)],
            id="it delivers what is above 0",
        ),
        # Known for a quarter of each hour; by an earlier version, for nobody knows how long.
        pytest.param([hour(n, 4.0, seconds=900.0) for n in range(9)], id="heard now and then"),
        pytest.param([hour(n, 4.0, seconds=None) for n in range(9)], id="unknown time"),
        # Standby below what it shows, and a clamp that shows noise.
        pytest.param([hour(n, 0.02, watts=0.0) for n in range(168)], id="standby"),
        pytest.param([hour(n, 0.0, watts=20.0) for n in range(168)], id="noise"),
        # A flow heater, hit by one of four readings an hour: 5 kWh by the power.
        pytest.param(
            [replace(hour(1, 1.1, {"active_power_max": 2e4}, watts=5000.0), readings=4)],
            id="one hit",
        ),
        pytest.param([replace(hour(n, 0.0), estimated=True) for n in range(9)], id="estimated"),
        pytest.param(
            [
                hour(-1, 0.0),
                *(without_import(hour(n, 0.0, {"energy_export": 0.0})) for n in range(9)),
            ],
            id="one of two counters is unknown",
        ),
        pytest.param([Statistic("main", START, {"energy_import": 9.0}, 60, 1, HOUR_S)], id="blind"),
        pytest.param(
            [hour(n, 0.0, {"active_power_min": -5.0}) for n in range(9)], id="below 0 at times"
        ),
    ],
)
def test_a_right_meter_is_never_doubted(right: Sequence[Statistic]) -> None:
    assert not disagreement(right)


def test_an_inverter_counts_what_it_produces() -> None:
    power = {f"active_power_{part}": 4000.0 for part in ("min", "mean", "max")}

    def said(kwh: float) -> str:
        return disagreement([Statistic("pv", START, power | {"energy_export": kwh}, 60, 1, HOUR_S)])

    assert not said(4.0)
    assert "counted 0.00 kWh" in said(0.0)


def test_only_the_latest_hours_count() -> None:
    wrong, right = [hour(number, 0.0) for number in range(9)], [hour(9 + n, 1.0) for n in range(3)]
    assert disagreement(wrong)
    assert not disagreement(wrong + right)
