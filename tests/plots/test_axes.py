from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from plots.drawing import CALENDAR, WARSAW, local

from esquirell.domain.periods import Period
from esquirell.plots.axes import Frame, Periods, decimals_of, marks
from esquirell.plots.levels import Label
from esquirell.plots.words import ENGLISH, Words


def written(labels: list[Label]) -> list[str]:
    return [f"{label.text} {label.below}".rstrip() for label in labels]


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (0, 14.4, [0, 5, 10, 15]),
        (-0.3, 0.5, [-0.4, -0.2, 0, 0.2, 0.4, 0.6]),
        (0, 10, [0, 5, 10]),
        (5, 5, [4.5, 5, 5.5]),
        (0, 0, [0, 0.5, 1]),
        (-1e6, 1e6, [-1e6, -5e5, 0, 5e5, 1e6]),
    ],
)
def test_marks_are_round_and_cover_the_values(
    least: float, most: float, expected: list[float]
) -> None:
    assert marks(least, most, about=4) == expected


def test_axis_labels_have_enough_decimals_to_differ() -> None:
    assert decimals_of([0, 5, 10]) == 0
    assert decimals_of([0, 0.2, 0.4]) == 1
    assert decimals_of([0, 0.00002]) == 5


@pytest.mark.parametrize(
    ("period", "span", "letters", "expected"),
    [
        ("month", ((2026, 1, 1), (2027, 1, 1)), 120, "Jan 2026|Feb|Mar|Apr|May|Jun|Jul|Aug"),
        ("month", ((2026, 1, 1), (2027, 1, 1)), 30, "Jan 2026|Apr|Jul|Oct"),
        ("month", ((2025, 11, 1), (2026, 3, 1)), 60, "Nov 2025|Dec|Jan 2026|Feb"),
        ("day", ((2026, 10, 30), (2026, 11, 3)), 60, "30 Oct 2026|31|1 Nov 2026|2"),
        ("day", ((2026, 10, 1), (2026, 11, 1)), 60, "1 Oct 2026|5|10|15|20|25"),
        ("day", ((2026, 1, 1), (2027, 1, 1)), 120, "Jan 2026|Feb|Mar|Apr|May|Jun|Jul|Aug"),
        ("hour", ((2026, 10, 25), (2026, 10, 26)), 40, "00:00 Sun 25 Oct|06:00|12:00|18:00"),
        ("year", ((2021, 1, 1), (2024, 1, 1)), 60, "2021|2022|2023"),
    ],
)
def test_labels_of_periods_are_as_fine_as_there_is_room_for(
    period: Period,
    span: tuple[tuple[int, ...], tuple[int, ...]],
    letters: int,
    expected: str,
) -> None:
    axis = Periods((local(*span[0]), local(*span[1])), period, CALENDAR)
    assert written(axis.labels(letters, ENGLISH))[:8] == expected.split("|")


@pytest.mark.parametrize("period", ["day", "month"])
def test_each_label_is_centred_below_its_period(period: Period) -> None:
    axis = Periods((local(2026, 2, 1), local(2026, 12, 1)), period, CALENDAR)
    for label in axis.labels(200, ENGLISH):
        start = CALENDAR.local(axis.starts[int(label.at * axis.count)])
        assert label.text in {ENGLISH.month(start), str(start.day)}
        assert label.at == pytest.approx((axis.starts.index(start) + 0.5) / axis.count)


def test_a_day_that_has_25_hours_has_25_steps() -> None:
    axis = Periods((local(2026, 10, 25), local(2026, 10, 26)), "hour", CALENDAR)
    assert axis.count == 25
    assert [axis.title(number, ENGLISH)[-5:] for number in (1, 2, 3, 4)] == [
        "01:00",
        "02:00",
        "02:00",
        "03:00",
    ]
    assert axis.number(local(2026, 10, 25)) == 0
    assert axis.number(local(2026, 10, 26)) is None


def test_labels_are_at_round_times() -> None:
    frame = Frame((local(2026, 11, 22, 9, 17), local(2026, 11, 22, 10, 17)), 100, WARSAW)
    found = frame.labels(70, ENGLISH)
    assert written(found)[:3] == ["09:30 Sun 22 Nov", "09:45", "10:00"]
    assert found[0].at == pytest.approx(13 / 60)


def test_moments_over_a_change_of_the_clock() -> None:
    frame = Frame((local(2026, 10, 24, 12), local(2026, 10, 26, 12)), 100, WARSAW)
    found = frame.labels(40, ENGLISH)
    assert written(found) == [
        "12:00 Sat 24 Oct",
        "00:00 Sun 25 Oct",
        "12:00",
        "00:00 Mon 26 Oct",
        "12:00",
    ]
    # The second day is an hour longer.
    assert [round(label.at * 49) for label in found] == [0, 12, 25, 37, 49]


@pytest.mark.parametrize(("day", "hours"), [((2026, 10, 25), 25), ((2026, 3, 29), 23)])
def test_a_day_of_another_length_is_shown_whole(day: tuple[int, int, int], hours: int) -> None:
    begin = datetime(*day, tzinfo=ZoneInfo(WARSAW))
    end = begin + timedelta(days=1)
    frame = Frame((begin, end), hours, WARSAW)
    last = end.astimezone(UTC) - timedelta(minutes=1)
    assert frame.number(last) == hours - 1
    assert frame.number(last + timedelta(minutes=2)) is None
    assert frame.title(hours - 1, ENGLISH)[-5:] == "23:00"
    found = frame.labels(70, ENGLISH)
    assert {label.text: round(label.at * hours) for label in found}["18:00"] == hours - 6
    assert (found[-1].text, found[-1].at) == ("00:00", 1.0)


def test_a_moment_outside_the_frame_has_no_step() -> None:
    begin, end = local(2026, 11, 22), local(2026, 11, 23)
    frame = Frame((begin, end), 24, WARSAW)
    assert (frame.number(begin), frame.number(end)) == (0, 23)
    assert frame.number(end + timedelta(seconds=1)) is None
    assert frame.title(9, ENGLISH) == "Sun 22 Nov 2026, 09:00"


def test_numbers_are_written_in_the_words_of_a_language() -> None:
    words = Words(decimal=",", group=" ")
    assert words.number(-1234.5, 1) == "\N{MINUS SIGN}1 234,5"
    # Not "-0".
    assert words.number(-0.04, 1) == "0,0"
