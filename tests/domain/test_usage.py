import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.usage import Counter, Sample

MINUTE = 60.0


def used(*shown: float, pause: float = MINUTE) -> float:
    """Give what was used while a counter showed these values, one after the other."""
    counter = Counter(Sample(0, shown[0]))
    moments = [pause * number for number in range(1, len(shown))]
    return sum(one.kwh for one in counter.follow(moments, shown[1:]))


@pytest.mark.parametrize(
    ("shown", "kwh"),
    [
        ([100.0, 100.1, 100.3], 0.3),
        ([100.0, 100.0], 0),
        # Dips: the counter goes on from where it was.
        ([100.0, 0.0, 100.2], 0.2),
        ([100.0, 99.9, 99.9, 100.2], 0.2),
        ([100.0, 0.0, 100.1, 0.0, 100.2], 0.2),
        # A reset: what it shows since then was used.
        ([100.0, 0.0, 0.1, 0.2, 0.4], 0.4),
        ([100.0, 0.3, 0.3, 0.3], 0.3),
        # Another meter brings its own count.
        ([100.0, 60.0, 60.1, 60.2], 0.2),
        ([100.0, 5000.0, 5000.1, 5000.2, 5000.3], 0.3),
        # A spike.
        ([100.0, 99999.0, 100.1], 0.1),
    ],
)
def test_what_was_used(shown: list[float], kwh: float) -> None:
    assert used(*shown) == pytest.approx(kwh)


def test_a_jump_after_a_long_gap_was_used_meanwhile() -> None:
    assert used(100.0, 5000.0, pause=86_400) == pytest.approx(4900)


def test_a_gap_is_shared_by_its_hours() -> None:
    (booking,) = Counter(Sample(0, 10.0)).follow([4 * 3600.0], [14.0])
    assert [booking.share(hour * 3600, hour * 3600 + 3600) for hour in range(5)] == [1, 1, 1, 1, 0]


def test_of_a_gap_of_years_the_last_year_has_it_all() -> None:
    (booking,) = Counter(Sample(0, 10.0)).follow([10 * 366 * 86_400.0], [20.0])
    assert (booking.begin, booking.kwh) == (9 * 366 * 86_400.0, 10.0)


@given(st.lists(st.floats(0, 2_000), min_size=1, max_size=40), st.integers(0, 40))
def test_whatever_is_shown_nothing_is_negative_and_parts_make_the_whole(
    shown: list[float], place: int
) -> None:
    moments = [MINUTE * number for number in range(1, len(shown) + 1)]
    whole, parted = Counter(Sample(0, 1_000.0)), Counter(Sample(0, 1_000.0))
    bookings = whole.follow(moments, shown)
    split = min(place, len(shown))
    parts = parted.follow(moments[:split], shown[:split])
    parts += parted.follow(moments[split:], shown[split:])
    assert all(one.kwh >= 0 for one in bookings)
    assert sum(one.kwh for one in parts) == pytest.approx(sum(one.kwh for one in bookings))
    assert parted == whole


@given(st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_nothing_of_a_rise_is_lost(steps: list[float]) -> None:
    shown = [100.0]
    for step in steps:
        shown.append(shown[-1] + step)
    assert used(*shown) == pytest.approx(shown[-1] - 100)
