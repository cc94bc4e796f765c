from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.counters import Counter, follow

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def sums(
    raws: Sequence[float], source: str = "device", counter: Counter | None = None, begin: int = 0
) -> Iterator[tuple[Counter | None, float | None]]:
    for number, raw in enumerate(raws, begin):
        counter, believed = follow(counter, raw, START + number * MINUTE, source)
        yield counter, counter.total if counter and believed else None


def published(raws: Sequence[float]) -> list[float | None]:
    return [total for _, total in sums(raws)]


def test_a_counter_that_rises_is_published_as_it_is() -> None:
    assert published([100.0, 100.0, 100.31, 101.2]) == [100.0, 100.0, 100.31, 101.2]


@pytest.mark.parametrize("glitch", [0.0, 99.0, 4000.0, 1003.1, 0.01])
def test_a_glitch_is_null_and_leaves_no_trace(glitch: float) -> None:
    assert published([100.0, glitch, 100.1, glitch, glitch, 100.2]) == [
        100.0,
        None,
        100.1,
        None,
        None,
        100.2,
    ]


def test_a_reset_to_zero_continues_the_sum_once_it_is_confirmed() -> None:
    assert published([5000.0, 5000.0, 0.1, 0.2, 0.3, 0.5])[1:] == [
        5000.0,
        None,
        None,
        5000.3,
        5000.5,
    ]


def test_a_few_readings_in_a_moment_confirm_nothing() -> None:
    counter, _ = follow(None, 100.0, START, "device")
    for second in range(1, 30):
        counter, believed = follow(counter, 0.0, START + timedelta(seconds=second), "device")
        assert not believed


def test_a_counter_that_lost_its_last_steps_continues_without_them() -> None:
    assert published([100.4, 100.5, 100.3, 100.3, 100.3, 100.4])[1:] == [
        100.5,
        None,
        None,
        100.5,
        100.6,
    ]


def test_a_counter_that_runs_over_loses_nothing() -> None:
    assert published([999_999.9, 999_999.9, 0.1, 0.2, 0.3])[1:] == [
        999_999.9,
        None,
        None,
        1_000_000.3,
    ]
    end = 2.0**32 / 1000
    assert published([end - 0.6, end - 0.5, 0.25, 0.25, 0.5])[-1] == pytest.approx(end + 0.5)


@pytest.mark.parametrize("end", [1e4, 1e5, 1e6, 2.0**24, 2.0**24 / 10, 2.0**31 / 100])
def test_whatever_a_counter_ends_at_it_runs_over(end: float) -> None:
    raws = [end - 0.2, end - 0.1, 0.1, 0.2, 0.3]
    assert published(raws)[-1] == pytest.approx(end + 0.3)


@pytest.mark.parametrize(("first", "counted"), [(24.0, 24.0), (26.0, 0.0)])
def test_after_a_start_at_zero_so_much_was_used_as_fits_into_a_quarter(
    first: float, counted: float
) -> None:
    *_, (counter, _) = sums([5000.0, 5000.0])
    for minute in range(3):
        at = START + timedelta(days=1, minutes=minute)
        counter, believed = follow(counter, first, at, "device")
    assert believed
    assert counter
    assert counter.total == 5000.0 + counted


@pytest.mark.parametrize(("step", "is_believed"), [(50.9, True), (51.1, False)])
def test_a_coarse_counter_catches_up_with_an_hour_at_most(step: float, is_believed: bool) -> None:
    counter: Counter | None = None
    for minute in range(300):
        counter, _ = follow(counter, 100.0, START + minute * MINUTE, "device")
    _, believed = follow(counter, 100.0 + step, START + timedelta(minutes=299, seconds=1), "device")
    assert believed == is_believed


def test_a_jump_upwards_that_stays_is_not_counted() -> None:
    assert published([100.0, 100.0, 4869.0, 4869.1, 4869.2, 4869.3])[1:] == [
        100.0,
        None,
        None,
        100.2,
        100.3,
    ]


def test_zeros_that_last_and_end_cost_nothing() -> None:
    raws = [4869.0, 4869.0, *[0.0] * 6, *[4869.1] * 5]
    assert published(raws)[-1] == 4869.0
    assert [total for total in published(raws) if total not in (None, 4869.0)] == []


def test_after_an_outage_more_may_have_been_counted() -> None:
    counter, _ = follow(None, 100.0, START, "device")
    counter, believed = follow(counter, 350.0, START + timedelta(days=3), "device")
    assert believed
    assert counter
    assert counter.total == 350.0


def test_devices_that_report_in_steps_are_believed() -> None:
    raws = [100.0] * 30 + [106.0] + [106.0] * 30 + [112.0]
    assert published(raws) == raws


def test_the_counter_of_an_exchanged_device_may_start_anywhere() -> None:
    *_, (old, _) = sums([4000.0, 4000.5])
    for first in (0.0, 17.3, 9000.0):
        *_, (_, last) = sums([first, first + 0.1, first + 0.2], "other device", old, begin=2)
        assert last == pytest.approx(4000.7)
    totals = [total for _, total in sums([9000.0, 9000.1], "other device", old, begin=2)]
    assert totals == [4000.5, 4000.6]


def test_a_device_paired_again_continues_its_counter() -> None:
    *_, (old, _) = sums([4000.0, 4000.5])
    totals = [total for _, total in sums([4000.7, 4000.8], "new id", old, begin=2)]
    assert totals == [4000.7, 4000.8]


@pytest.mark.parametrize("raw", [-0.01, float("nan"), float("inf")])
def test_impossible_counter_values_are_never_believed(raw: float) -> None:
    assert published([raw, 100.0, raw, raw, raw, raw, 100.1]) == [
        None,
        100.0,
        None,
        None,
        None,
        None,
        100.1,
    ]


def test_a_clock_set_back_stops_nothing() -> None:
    counter, _ = follow(None, 100.0, START, "device")
    for number in range(5):
        at = START - timedelta(days=1) + number * MINUTE
        counter, believed = follow(counter, 100.0 + number / 10, at, "device")
        assert believed


steps = st.floats(0, 1.6).map(lambda step: round(step, 2))
faults = st.sampled_from(["zero", "dip", "jump", "none", "none"])


@given(st.floats(50, 50_000), st.lists(st.tuples(steps, faults), min_size=4, max_size=60))
def test_no_glitch_changes_the_sum(first: float, minutes: list[tuple[float, str]]) -> None:
    """Single glitches, with a true value between two of them: the sum is the true counter."""
    true = round(first, 2)
    raws = [true]
    for step, fault in minutes:
        wrong = {"zero": 0.0, "dip": true / 3, "jump": true + 500, "none": true}[fault]
        true = round(true + step, 2)
        raws += [wrong, true]
    totals = published(raws)
    assert totals[-1] == true
    believed = [total for total in totals if total is not None]
    assert believed == sorted(believed)


@given(
    st.floats(100, 9_000),
    st.lists(st.tuples(st.lists(steps, min_size=5, max_size=20), st.booleans()), max_size=6),
)
def test_the_sum_over_resets_is_the_true_energy(
    first: float, lives: list[tuple[list[float], bool]]
) -> None:
    """A reset to zero is counted from zero; each life is longer than a confirmation."""
    raw = energy = round(first, 2)
    raws = [raw, raw]
    for increments, glitches in lives:
        raw = 0.0
        for step in increments:
            raw, energy = round(raw + step, 2), energy + step
            raws.append(raw)
        raw, energy = round(raw + 50, 2), energy + 50
        raws += [round(raw - 50 + part, 2) for part in range(1, 51)]
        raws += [0.0, raw] if glitches else []
    assert published(raws)[-1] == pytest.approx(energy)


@pytest.mark.parametrize("first", [0.0, 655.35, 2000.0])
def test_a_first_value_that_no_other_agrees_with_was_no_counter(first: float) -> None:
    *_, (counter, last) = sums([first, 1064.21, 1064.21, 1064.22])
    assert counter
    assert (last, counter.offset) == (1064.22, 0.0)
    assert counter.replaces == START


def test_a_first_value_that_another_agrees_with_was_one() -> None:
    *_, (counter, last) = sums([0.0, 0.0, 1064.21, 1064.21, 1064.22])
    assert counter
    assert (last, counter.replaces) == (0.01, None)


def test_what_takes_the_place_of_a_first_value_does_so_once() -> None:
    *_, (counter, _) = sums([0.0, 1064.21, 1064.21, 1064.22, 1064.22])
    assert counter
    assert counter.replaces is None


@pytest.mark.parametrize(("kw", "pause_s"), [(22.0, 1800), (43.0, 1800), (11.0, 900)])
def test_a_coarse_counter_under_the_load_of_a_house_is_believed(kw: float, pause_s: int) -> None:
    counter: Counter | None = None
    for second in range(0, 5 * pause_s, 30):
        raw = 1000.0 + second // pause_s * kw * pause_s / 3600
        counter, believed = follow(counter, raw, START + timedelta(seconds=second), "device")
        assert believed


@given(st.lists(st.floats(-10, 1e7) | st.just(float("nan")), max_size=60))
def test_the_sum_never_falls_and_is_never_negative(raws: list[float]) -> None:
    totals: list[float] = []
    for counter, total in sums(raws):
        if counter and counter.replaces and total is not None:
            assert len(totals) == 1
            totals.clear()
        if total is not None:
            totals.append(total)
    assert totals == sorted(totals)
    assert all(total >= 0 for total in totals)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.sampled_from("ab")), max_size=60))
def test_over_exchanges_the_sum_never_falls(readings: list[tuple[float, str]]) -> None:
    counter: Counter | None = None
    total = 0.0
    for number, (raw, source) in enumerate(readings):
        counter, believed = follow(counter, raw, START + number * MINUTE, source)
        if counter and believed:
            assert counter.total >= total or counter.replaces
            total = counter.total
