from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.periods import PERIODS, Calendar, Period, moment

ZONES = (
    "Europe/Warsaw",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Cairo",
    "Pacific/Apia",
    "UTC",
)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


def hours_of_day(zone: str, year: int, month: int, day: int) -> float:
    calendar = Calendar(zone)
    start = calendar.floor(datetime(year, month, day, 12, tzinfo=UTC), "day")
    return (calendar.after(start, "day") - start) / timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "date", "hours"),
    [
        ("Europe/Warsaw", (2026, 3, 29), 23),
        ("Europe/Warsaw", (2026, 10, 25), 25),
        ("Europe/Warsaw", (2026, 10, 26), 24),
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("America/Havana", (2025, 3, 9), 23),
        ("America/Havana", (2025, 11, 2), 25),
        ("Africa/Cairo", (2026, 4, 24), 23),
    ],
)
def test_days_have_the_hours_of_their_zone(
    zone: str, date: tuple[int, int, int], hours: float
) -> None:
    assert hours_of_day(zone, *date) == hours


def test_a_month_begins_at_local_midnight() -> None:
    calendar = Calendar("Europe/Warsaw")
    start = calendar.floor(datetime(2026, 10, 31, 23, 30, tzinfo=UTC), "month")
    assert start == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert calendar.after(start, "month") == datetime(2026, 11, 30, 23, tzinfo=UTC)


@pytest.mark.parametrize("period", PERIODS)
@given(moment=MOMENTS, zone=st.sampled_from(ZONES))
def test_each_moment_is_in_one_period_and_the_next_follows(
    moment: datetime, zone: str, period: Period
) -> None:
    calendar = Calendar(zone)
    start = calendar.floor(moment, period)
    following = calendar.after(start, period)
    assert start <= moment < following
    assert calendar.floor(start, period) == start
    assert calendar.floor(following, period) == following
    assert calendar.floor(following - timedelta(milliseconds=1), period) == start


def test_a_moment_without_a_zone_is_in_the_configured_one() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for text in ("2026-11-22T10:15", "2026-11-22T18:15+09:00", "2026-11-22T09:15Z"):
        assert moment(text, now, "Europe/Warsaw") == datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
    assert moment("90m", now, "Asia/Tokyo") == datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    with pytest.raises(ValueError, match="is not a time"):
        moment("yesterday", now, "UTC")
