from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.undated import Mark, Present, dated

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(*marks: tuple[str, float], boot: str = "now", uptime_s: float = 1000.0) -> list[float]:
    """How many seconds before now readings were taken, as it is found."""
    known = [Mark(number, *mark, shown=0.0) for number, mark in enumerate(marks)]
    found = dated(known, Present(NOW, boot, uptime_s))
    return [(found[number] - NOW) / SECOND for number in range(len(marks))]


def test_readings_of_this_boot_get_their_time() -> None:
    assert at(("now", 10.0), ("now", 70.0), ("now", 999.5)) == [-990.0, -930.0, -0.5]


def test_an_earlier_run_ended_right_before_this_one_began() -> None:
    assert at(("before", 10.0), ("before", 70.0)) == [-1061.0, -1001.0]
    assert at(("before", 10.0), ("before", 70.0), ("now", 500.0)) == [-1061.0, -1001.0, -500.0]


def test_boots_are_placed_one_after_the_other() -> None:
    marks = [("first", 100.0), ("second", 50.0), ("second", 60.0), ("third", 5.0)]
    assert at(*marks) == [-1013.0, -1012.0, -1002.0, -1001.0]


def test_nothing_waits() -> None:
    assert at() == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1e6)), max_size=30))
def test_the_order_is_kept_and_nothing_is_in_the_future(marks: list[tuple[str, float]]) -> None:
    in_order = sorted(marks)
    found = at(*in_order, boot="c", uptime_s=1e6)
    assert found == sorted(found)
    assert all(seconds <= 0 for seconds in found)
