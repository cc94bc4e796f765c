"""Increments (`add_ele`) over the wire: each report counts once, nothing else counts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tinytuya
from hypothesis import given
from hypothesis import strategies as st
from support.tuya_devices import (
    DPS,
    LanReader,
    MockRequest,
    MockSession,
    a_meter,
    frame,
    mock_device,
)
from support.waiting import eventually

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.tuya.lan.increments import REMEMBERED, REPEATED_S, Increments
from esquirell.tuya.lan.session import Message

QUERIES = (tinytuya.DP_QUERY, tinytuya.DP_QUERY_NEW)
IDS = frozenset({"17"})


def report(value: object, sequence: int = 0, at: int | None = None) -> Message:
    return Message(tinytuya.STATUS, sequence, {"17": value}, at=at)


@dataclass
class Line:
    """One line on which a meter reports increments, and a clock."""

    added: Increments = field(default_factory=Increments)
    now: float = 1000.0

    def says(self, *messages: Message, later_s: float = 60.0, line: int = 1) -> int:
        """Let messages come, some time after each other; return what they add."""
        for message in messages:
            self.now += later_s
            self.added.report(message, IDS, self.now, line, asked=False)
        return self.added.take(line)[0].get("17", 0)


def test_equal_increments_one_after_the_other_all_count() -> None:
    assert Line().says(report(100, 5), report(100, 6), report(100, 7)) == 300
    assert Line().says(report(100, at=10), report(100, at=70), later_s=0.5) == 200
    assert Line().says(report(100), report(100), later_s=REPEATED_S) == 200
    # A time that only one of them has says nothing: the same so soon is a repetition.
    assert Line().says(report(100, at=10), report(100), later_s=0.5) == 100
    assert Line().says(report(100), report(100, at=10), later_s=0.5) == 100


def test_a_repetition_is_recognised_by_the_number_of_its_frame() -> None:
    line = Line()
    assert line.says(report(100, 5), report(100, 5)) == 100
    # Each connection counts its frames anew.
    assert line.says(report(100, 5), line=2) == 100


def test_a_repetition_is_recognised_by_its_time_also_over_another_line() -> None:
    line = Line()
    assert line.says(report(100, 5, at=1700000000)) == 100
    assert line.says(report(100, 9, at=1700000000), line=2) == 0
    assert line.says(report(100, 10, at=1700000060), line=2) == 100


def test_a_repetition_is_recognised_by_the_clock_where_a_frame_says_nothing() -> None:
    assert Line().says(report(100), report(100), later_s=REPEATED_S / 2) == 100
    assert Line().says(report(100), report(90), later_s=REPEATED_S / 2) == 190


def test_increments_that_are_no_numbers_add_nothing() -> None:
    assert Line().says(report("x"), report(-5), report(None), report("7")) == 7


def test_repetitions_push_nothing_out_of_memory() -> None:
    first, second = report(100, 1), report(200, 2)
    assert Line().says(first, *[second] * (REMEMBERED + 1), first, later_s=0.01) == 300


@given(st.lists(st.integers(1, 30), max_size=60), st.booleans(), st.booleans())
def test_increments_count_once_in_any_order_and_number(
    numbers: list[int], numbered: bool, timed: bool
) -> None:
    """Ten increments of each size: only their number and time tell them apart."""
    line, seen = Line(), set[int]()
    for number in numbers:
        value = 100 + number % 3
        sequence, at = number if numbered else 0, 1700000000 + number if timed else None
        added = line.says(report(value, sequence, at), later_s=0.01)
        if numbered or timed:
            assert added == (0 if number in seen else value)
        seen.add(number)


def test_a_break_is_reported_once() -> None:
    added = Increments()
    assert added.take(1) == ({}, True)
    assert added.take(1) == ({}, False)
    assert added.take(None) == ({}, True)
    assert added.take(2) == ({}, True)
    assert added.take(2) == ({}, False)


def test_an_increment_that_was_asked_for_is_missed_if_it_is_a_new_one() -> None:
    line = Line()
    line.says(report(100, 5))
    for value, missed in ((100, False), (0, False), (70, True), (100, False)):
        line.added.leave_out(report(value, 9), IDS)
        assert line.added.take(1) == ({}, missed)


class Ear:
    def __init__(self) -> None:
        self.heard: list[RawDatapoints] = []

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        del meter
        self.heard.append(heard)

    def event(self, kind: str, data: object) -> None:
        del kind, data

    @property
    def added(self) -> int:
        return sum(heard.increments.get("17", 0) for heard in self.heard)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def holder(lock_dir: Path, ear: Ear) -> Iterator[LanReader]:
    reader = LanReader(lock_dir, keep="held", listener=ear)
    yield reader
    reader.close()


def test_reports_count_and_answers_do_not(holder: LanReader, ear: Ear) -> None:
    with mock_device("3.4", dps=DPS | {"17": 100}) as device:
        question = Question(a_meter(device.port, "3.4"), increments=IDS)
        first = holder.read(question)
        assert (first.values["17"], first.increments, first.interrupted) == (100, {}, True)
        device.push({"17": 50})
        device.push({"17": 30, "18": 7})
        eventually(lambda: ear.added == 80)
        again = holder.read(question)
        assert (again.increments, again.interrupted) == ({}, False)
        assert not any(heard.interrupted for heard in ear.heard)


def test_what_updatedps_brought_does_not_count(holder: LanReader, ear: Ear) -> None:
    def bring(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd == tinytuya.UPDATEDPS:
            return session.status_push({"17": 100, "18": 9})
        return usual

    with mock_device("3.4", bring) as device:
        question = Question(a_meter(device.port, "3.4"), (18, 19), increments=IDS)
        assert holder.read(question).increments == {}
        # By itself, though at the same time.
        device.push({"17": 30})
        eventually(lambda: ear.added == 30)


def test_a_report_that_is_the_answer_does_not_count(holder: LanReader, ear: Ear) -> None:
    """Some devices answer a question with a report."""

    def by_report(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        return session.status_push({"17": 100, "18": 9}) if request.cmd in QUERIES else usual

    with mock_device("3.3", by_report) as device:
        question = Question(a_meter(device.port), increments=IDS)
        assert holder.read(question).increments == {}
        device.push({"17": 30})
        eventually(lambda: ear.added == 30)
        assert holder.read(question).increments == {}


def test_a_report_beside_an_answer_counts(holder: LanReader) -> None:
    def beside(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd not in QUERIES:
            return usual
        answer = frame(session, request.cmd, json.dumps({"dps": {"18": 1}}).encode())
        return session.status_push({"17": 20}) + answer

    with mock_device("3.4", beside) as device:
        question = Question(a_meter(device.port, "3.4"), increments=IDS)
        assert holder.read(question).increments == {"17": 20}


def test_after_a_cut_it_is_said_that_something_may_be_missing(holder: LanReader, ear: Ear) -> None:
    with mock_device("3.4") as device:
        question = Question(a_meter(device.port, "3.4"), increments=IDS)
        holder.read(question)
        port = device.port
    with mock_device("3.4", port=port) as device:
        eventually(lambda: ear.heard)
        assert ear.heard[-1].interrupted
        device.push({"17": 30})
        eventually(lambda: ear.added == 30)
        assert not ear.heard[-1].interrupted
