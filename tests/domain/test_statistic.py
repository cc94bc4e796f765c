import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.statistic import Booking, Sample, book

MINUTE = 60.0
HOUR = 3600.0


def used(*sums: float, pause: float = MINUTE) -> float:
    """The energy booked for sums that came one after the other."""
    moments = [pause * number for number in range(1, len(sums))]
    bookings, _ = book(Sample(0, sums[0]), moments, sums[1:])
    return sum(booking.kwh for booking in bookings)


@pytest.mark.parametrize(
    ("sums", "kwh"),
    [
        ([100.0, 100.1, 100.3], 0.3),
        ([100.0, 100.0], 0),
        # Whatever was believed is booked, however large the step was.
        ([1000.0, *[1000.0] * 65, 1001.3], 1.3),
        ([100.0, 100.0, 111.0, 111.0, 122.0], 22),
        ([0.0, 5000.0], 5000),
        # Readings that a wrong clock put between the others.
        ([100.0, 50.0, 100.2], 0.2),
        ([100.0, 100.3, 100.1, 100.4, 100.2], 0.4),
    ],
)
def test_the_rise_of_the_sum_was_used(sums: list[float], kwh: float) -> None:
    assert used(*sums) == pytest.approx(kwh)


def test_a_gap_is_shared_by_its_hours() -> None:
    (booking,), last = book(Sample(0, 10.0), [4 * HOUR], [14.0])
    assert [booking.share(hour * HOUR, hour * HOUR + HOUR) for hour in range(5)] == [1, 1, 1, 1, 0]
    assert last == Sample(4 * HOUR, 14.0)


def test_the_shares_of_a_gap_add_up_however_many_they_are() -> None:
    booking = Booking(0, 721 * HOUR + 1, 1.3)
    shares = [round(booking.share(hour * HOUR, hour * HOUR + HOUR), 6) for hour in range(722)]
    assert sum(shares) == pytest.approx(1.3, abs=1e-9)
    assert min(shares) >= 0


def test_energy_of_a_gap_of_years_is_booked_in_its_last_year() -> None:
    (booking,), _ = book(Sample(0, 10.0), [10 * 366 * 86_400.0], [20.0])
    assert (booking.begin, booking.kwh) == (9 * 366 * 86_400.0, 10.0)


def test_booking_continues_from_the_last_reading_with_the_highest_sum() -> None:
    _, last = book(Sample(0, 10.0), [1.0, 2.0, 3.0, 4.0], [10.0, 11.0, 11.0, 10.5])
    assert last == Sample(3.0, 11.0)
    _, last = book(last, [5.0], [10.9])
    assert last == Sample(3.0, 11.0)


def test_hours_within_a_gap_are_estimated() -> None:
    outage = Booking(0.5 * HOUR, 2.5 * HOUR, 3.0)
    assert [outage.is_guess(hour * HOUR, hour * HOUR + HOUR) for hour in range(4)] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "known",
    [
        # Within one hour: its energy is known, when in it is not.
        Booking(0.1 * HOUR, 0.9 * HOUR, 1.0),
        # A usual poll over the border of two hours.
        Booking(HOUR - 30, HOUR + 30, 1.0),
        # Polled hour by hour, a moment late.
        Booking(0.2, HOUR + 0.3, 1.0),
        # Nothing was used.
        Booking(0.5 * HOUR, 2.5 * HOUR, 0.0),
    ],
)
def test_measured_hours_are_not_estimated(known: Booking) -> None:
    assert not known.is_guess(0, HOUR)
    assert not known.is_guess(HOUR, 2 * HOUR)


@given(st.lists(st.floats(0, 2_000), min_size=1, max_size=40), st.integers(1, 40))
def test_parts_make_the_whole(sums: list[float], place: int) -> None:
    moments = [MINUTE * number for number in range(1, len(sums) + 1)]
    start = Sample(0, 1_000.0)
    whole, end = book(start, moments, sums)
    parts, middle = book(start, moments[:place], sums[:place])
    if place < len(sums):
        rest, middle = book(middle, moments[place:], sums[place:])
        parts += rest
    assert middle == end
    assert all(booking.kwh >= 0 for booking in whole + parts)
    assert sum(booking.kwh for booking in parts) == pytest.approx(
        sum(booking.kwh for booking in whole)
    )
    assert sum(booking.kwh for booking in whole) == pytest.approx(max(0, max(sums) - 1_000))
