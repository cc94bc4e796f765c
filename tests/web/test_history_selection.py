"""Which span, meters and quantities the address of History asks for."""

from datetime import UTC, date, timedelta
from urllib.parse import parse_qs

import pytest
from support.past_house import METERS, RECORDED, TODAY, chosen

from esquirell.web.selection import RecordedMeters, Selection, select
from esquirell.web.spans import Length, Span


@pytest.mark.parametrize(
    ("length", "first", "end"),
    [
        ("day", date(2026, 10, 26), date(2026, 10, 27)),
        ("week", date(2026, 10, 26), date(2026, 11, 2)),
        ("month", date(2026, 10, 1), date(2026, 11, 1)),
        ("year", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_spans_are_whole_and_follow_each_other(length: Length, first: date, end: date) -> None:
    span = Span.around(length, TODAY)
    assert (span.first, span.end) == (first, end)
    assert span.earlier.end == first
    assert span.later.first == end
    assert span.later.earlier == span


def test_a_year_ago_is_the_same_date_and_of_a_week_the_same_weekdays() -> None:
    assert Span.around("day", date(2028, 2, 29)).year_before.first == date(2027, 2, 28)
    assert Span.around("month", TODAY).year_before.first == date(2025, 10, 1)
    week = Span.around("week", TODAY)
    assert week.year_before.first == date(2025, 10, 27)
    assert week.year_before.first.weekday() == week.first.weekday()


def test_a_span_begins_and_ends_at_local_midnights() -> None:
    begin, end = Span.around("day", date(2026, 10, 25)).moments("Europe/Warsaw")
    assert (end - begin) == timedelta(days=1)  # by the clock on the wall
    assert end.astimezone(UTC) - begin.astimezone(UTC) == timedelta(hours=25)


def test_the_first_view_is_the_energy_of_the_house_today() -> None:
    assert chosen("") == Selection("energy", Span.around("day", TODAY), "hour", ("main",))


@pytest.mark.parametrize(
    "query",
    [
        "span=decade&show=money&by=second&at=yesterday&meter=nobody&compare=yes",
        "at=0001-01-01",
        "at=9999-12-31&span=week",
        "show=../../etc/passwd",
    ],
)
def test_invalid_choices_fall_back_to_the_default(query: str) -> None:
    found = chosen(query)
    assert (found.show, found.view, found.meters, found.compare) == (
        "energy",
        "day" if "week" in query else "hour",
        ("main",),
        False,
    )
    assert found.span.first in {TODAY, Span.around("week", TODAY).first}


def test_an_address_keeps_the_selection_and_its_changes() -> None:
    asked = chosen("span=month&show=power&by=day&meter=car&meter=main&compare=1&at=2026-09-09")
    assert asked.meters == ("main", "car")
    assert chosen(asked.address()) == asked
    earlier = chosen(asked.address(span=asked.span.earlier))
    assert (earlier.span.first, earlier.view) == (date(2026, 8, 1), "day")
    # Of another length, what it is divided into is chosen anew.
    week = chosen(asked.address(span=Span.around("week", TODAY)))
    assert week.view == "hour"


def test_readings_of_many_meters_are_not_drawn_one_by_one() -> None:
    many = [METERS[0].model_copy(update={"name": f"m{number}"}) for number in range(5)]
    found = parse_qs("show=power&by=raw&" + "&".join(f"meter=m{number}" for number in range(5)))
    selection = select(lambda name: found.get(name, []), RecordedMeters(many, {}), TODAY)
    assert selection.view == "quarter"


def test_meters_that_have_only_a_past_can_be_chosen() -> None:
    assert RECORDED.names == ["main", "pump", "car", "gone"]
    assert chosen("meter=gone").meters == ("gone",)
    assert RECORDED.title("gone") == "gone"
    assert RECORDED.keys("main", "voltage") == ["voltage_a", "voltage_b"]
    assert RECORDED.quantities() == ["voltage", "active_power"]


@pytest.mark.parametrize(
    ("query", "first", "last", "view"),
    [
        ("at=2026-10-05", date(2026, 10, 1), date(2026, 10, 5), "day"),
        ("at=2026-10-05&until=2026-10-01", date(2026, 10, 5), date(2026, 10, 5), "hour"),
        ("at=2026-10-05&until=nonsense", date(2026, 10, 5), TODAY, "day"),
        ("at=2026-01-01&until=2026-12-31", date(2026, 1, 1), date(2026, 12, 31), "day"),
        # More than a year is divided by months, and has whole ones.
        ("at=2025-03-15&until=2026-05-02", date(2025, 3, 1), date(2026, 5, 31), "month"),
        ("at=2000-01-01&until=2100-01-01", date(2000, 1, 1), date(2029, 12, 31), "month"),
    ],
)
def test_from_one_day_to_another(query: str, first: date, last: date, view: str) -> None:
    found = chosen(f"span=range&{query}")
    assert (found.span.first, found.span.last, found.view) == (first, last, view)


def test_a_range_is_turned_over_by_its_own_length() -> None:
    span = Span.between(date(2026, 10, 5), date(2026, 10, 7))
    assert span.earlier == Span.between(date(2026, 10, 2), date(2026, 10, 4))
    assert span.later == Span.between(date(2026, 10, 8), date(2026, 10, 10))
    assert span.year_before == Span.between(date(2025, 10, 5), date(2025, 10, 7))
    leap = Span.between(date(2028, 2, 29), date(2028, 2, 29)).year_before
    assert (leap.first, leap.last) == (date(2027, 2, 28), date(2027, 2, 28))
