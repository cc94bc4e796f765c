from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.integration import Integral, integrate

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def after(*readings: tuple[float, float]) -> Integral:
    """The energies after readings of seconds and watts."""
    integral: Integral | None = None
    for second, power in readings:
        integral = integrate(integral, power, START + timedelta(seconds=second))
    assert integral
    return integral


def test_constant_power_over_an_hour() -> None:
    integral = after(*((60.0 * minute, 1000.0) for minute in range(61)))
    assert integral.imported == pytest.approx(1.0)
    assert integral.exported == 0.0


def test_a_rising_power_counts_by_its_mean() -> None:
    assert after((0, 0), (600, 600)).imported == pytest.approx(0.05)


def test_import_and_export_are_apart_also_within_one_interval() -> None:
    integral = after((0, 300), (400, -100))
    assert integral.imported == pytest.approx(300 * 300 / 2 / 3.6e6)
    assert integral.exported == pytest.approx(100 * 100 / 2 / 3.6e6)


def test_small_energies_add_up() -> None:
    integral = after(*((float(second), 0.1) for second in range(3601)))
    assert integral.imported == pytest.approx(0.0001, rel=1e-9)


def test_a_gap_counts_by_the_power_before_and_after_it() -> None:
    assert after((0, 1000), (7200, 1000)).imported == pytest.approx(2.0)
    assert after((0, 1000), (7200, 0)).imported == pytest.approx(1.0)


def test_daily_polls_yield_an_estimate() -> None:
    days = [(86_400.0 * day, 1000.0) for day in range(5)]
    assert after(*days).imported == pytest.approx(96.0)


def test_longer_gaps_add_no_energy_and_are_recorded() -> None:
    integral = after((0, 1000), (30 * 3600.0, 1000))
    assert (integral.imported, integral.lost(START + timedelta(hours=60))) == (30.0, 0.0)
    assert after((0, 1000), (30 * 3600.0 + 1, 1000)).imported == 0.0
    assert integral.lost(START + timedelta(hours=61)) == 31 * 3600


def test_a_clock_set_back_counts_nothing() -> None:
    assert after((0, 1000), (-3600, 1000), (-3540, 1000)).imported == pytest.approx(1 / 60)


@given(st.lists(st.tuples(st.floats(-3600, 3600), st.floats(-1e5, 1e5)), max_size=40))
def test_energies_never_fall(readings: list[tuple[float, float]]) -> None:
    integral: Integral | None = None
    for second, power in readings:
        new = integrate(integral, power, START + timedelta(seconds=second))
        if integral:
            assert new.imported >= integral.imported
            assert new.exported >= integral.exported
        integral = new
