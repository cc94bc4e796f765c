"""What a meter said, and for how long that is believed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tinytuya
from hypothesis import given
from hypothesis import strategies as st
from support.tuya_devices import (
    PATIENT,
    LanReader,
    MockRequest,
    MockSession,
    a_meter,
    mock_device,
)
from support.waiting import eventually

from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.lan import datapoints
from esquirell.tuya.lan.datapoints import CONFIRM_AGAIN_S, CONFIRM_S, Datapoints
from esquirell.tuya.lan.session import Message

START = 5000.0
LINE = 3
HOUR = CONFIRM_S
COUNTERS = frozenset({"1"})


@pytest.fixture
def said() -> Datapoints:
    """A meter that has just said three things over a line that lives."""
    said = Datapoints()
    said.take(Message(tinytuya.STATUS, dps={"1": 4496, "6": "AAAA", "18": 5}), START, LINE)
    return said


def current(said: Datapoints, now: float, line: int | None = LINE) -> set[str]:
    return set(said.current(now, line, lambda: 60.0, COUNTERS))


def ask(said: Datapoints, now: float) -> set[str]:
    """Ask for what was not confirmed, as a device does; return what that is."""
    due = said.unconfirmed(now, LINE)
    for name in due:
        said.known[name].asked += 1
    return due


def test_values_last_as_long_as_the_connection(said: Datapoints) -> None:
    assert current(said, START + HOUR - 1) == {"1", "6", "18"}
    assert said.unconfirmed(START + HOUR - 1, LINE) == set()


def test_a_value_unconfirmed_for_an_hour_is_null_after_two_requests(
    said: Datapoints,
) -> None:
    said.take(Message(tinytuya.STATUS, dps={"18": 6}), START + HOUR / 2, LINE)
    assert ask(said, START + HOUR) == {"1", "6"}
    assert ask(said, START + HOUR + CONFIRM_AGAIN_S - 1) == set()
    assert current(said, START + HOUR + CONFIRM_AGAIN_S - 1) == {"1", "6", "18"}
    assert ask(said, START + HOUR + CONFIRM_AGAIN_S) == {"1", "6"}
    # The second answer gets its time as well; then counters stay, as they may rest.
    assert current(said, START + HOUR + 2 * CONFIRM_AGAIN_S - 1) == {"1", "6", "18"}
    assert current(said, START + HOUR + 2 * CONFIRM_AGAIN_S) == {"1", "18"}
    # It is not asked for ever.
    assert ask(said, START + 20 * HOUR) == {"18"}


def test_one_word_of_the_meter_confirms_it_for_another_hour(said: Datapoints) -> None:
    assert ask(said, START + HOUR) == {"1", "6", "18"}
    said.take(Message(tinytuya.STATUS, dps={"1": 4496, "6": "AAAA", "18": 5}), START + HOUR, LINE)
    assert ask(said, START + 2 * HOUR - 1) == set()
    assert ask(said, START + 2 * HOUR) == {"1", "6", "18"}


@pytest.mark.parametrize(("interval_s", "keeps_s"), [(5.0, 60.0), (60.0, 180.0)])
def test_after_a_cut_a_value_stays_for_three_intervals(
    said: Datapoints, interval_s: float, keeps_s: float
) -> None:
    for line in (None, LINE + 1):
        assert len(said.current(START + keeps_s, line, lambda: interval_s, COUNTERS)) == 3
        assert said.current(START + keeps_s + 1, line, lambda: interval_s, COUNTERS) == {}


@dataclass(frozen=True)
class Says:
    """A meter says some datapoints, seconds after the last time, maybe over a new line."""

    command: int
    dps: dict[str, int]
    later_s: float
    cut: bool


COMMANDS = (tinytuya.STATUS, tinytuya.DP_QUERY, tinytuya.DP_QUERY_NEW, tinytuya.UPDATEDPS)
SAYINGS = st.builds(
    Says,
    st.sampled_from(COMMANDS),
    st.dictionaries(st.integers(1, 12).map(str), st.integers(0, 9), max_size=4),
    st.floats(0, 100),
    st.booleans(),
)


@given(st.lists(SAYINGS, max_size=40), st.floats(0, 300))
def test_in_whatever_order_things_are_said_the_last_word_counts_as_long_as_it_may(
    sayings: list[Says], later_s: float
) -> None:
    said, last, now, line = Datapoints(), dict[str, tuple[int, float, int]](), START, 1
    for one in sayings:
        now, line = now + one.later_s, line + one.cut
        said.take(Message(one.command, dps=one.dps), now, line)
        due = said.expected({"1", "2"})
        said.count_answer(due, said.outstanding(due, now), now)
        last |= {name: (value, now, line) for name, value in one.dps.items()}
    now += later_s
    believed = said.current(now, line, lambda: 20.0, frozenset())
    assert {name: point.value for name, point in believed.items()} == {
        name: value for name, (value, at, over) in last.items() if now - at <= 60 or over == line
    }


def test_datapoints_not_sent_since_a_moment_are_outstanding(said: Datapoints) -> None:
    assert said.outstanding({"1", "6"}, START) == set()
    assert said.outstanding({"1", "7"}, START) == {"7"}
    assert said.outstanding({"1", "6"}, START + 1) == {"1", "6"}


def test_no_meter_takes_more_memory_than_a_thousand_datapoints(said: Datapoints) -> None:
    for begin in range(1, 60_000, 1000):
        dps = {str(number): number for number in range(begin, begin + 1000)}
        for command in COMMANDS:
            said.take(Message(command, dps=dps), START, LINE)
        said.count_answer(said.expected(()), said.expected(()), START)
    sizes = [len(one) for one in (said.known, said.answered, said.came, said.missing)]
    assert max(sizes) <= datapoints.MOST_DATAPOINTS + 1000


@pytest.fixture
def holder(lock_dir: Path) -> Iterator[LanReader]:
    reader = LanReader(lock_dir, keep="held", limits=PATIENT)
    yield reader
    reader.close()


def test_a_device_is_asked_by_id_and_what_it_is_silent_of_is_null(holder: LanReader) -> None:
    asked: set[int] = set()

    def react(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd != tinytuya.UPDATEDPS:
            return usual
        asked.update(json.loads(request.payload)["dpId"])
        return session.status_push({"6": "BBBB"})

    with mock_device("3.4", react, dps={"1": 4496}) as mock:
        question = Question(a_meter(mock.port, "3.4"), counters=COUNTERS)
        holder.read(question)
        mock.push({"6": "AAAA", "7": "AAAA"})
        eventually(lambda: holder.read(question).values.get("7") == "AAAA")
        holder.skip(datapoints.CONFIRM_S)
        holder.eventually(lambda: asked >= {1, 6, 7}, 5.0)
        holder.eventually(lambda: holder.read(question).values.get("6") == "BBBB", 5.0)
        # Of 7 it says nothing more.
        holder.eventually(lambda: "7" not in holder.read(question).values, 5.0)
        assert holder.read(question).values["1"] == 4496
        assert holder.read(question).values["6"] == "BBBB"


def test_what_answers_lack_again_and_again_is_waited_for_no_more() -> None:
    said = Datapoints()
    said.take(Message(tinytuya.STATUS, dps={"1": 4496, "18": 5}), START, LINE)
    said.missing["18"] = datapoints.MISSES - 1
    assert said.expected({"1", "18"}) == {"1", "18"}
    said.missing["18"] = datapoints.MISSES
    assert said.expected({"1", "18"}) == {"1"}


def test_each_answer_without_a_datapoint_is_counted_until_one_has_it() -> None:
    said = Datapoints()
    for count in (1, 2):
        said.count_answer({"1", "18"}, {"18"}, START)
        assert said.missing["18"] == count
    said.count_answer({"1", "18"}, set(), START)
    assert said.missing["18"] == 0
