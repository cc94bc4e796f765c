import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from esquirell.daemon.celery_worker import Workload
from esquirell.domain.tasks import COMMAND_HEADER


@dataclass
class Running:
    """What is to be known of a running task."""

    id: str
    time_start: float | None
    name: str = "my_house.report"
    request_dict: Mapping[str, Any] = field(default_factory=dict)
    is_poll: bool = False


class Bench:
    def __init__(self) -> None:
        self.now = 10_000.0
        self.tasks: list[Running] = []
        self.workload = Workload(lambda: 2, lambda: self.tasks, lambda: self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_task_that_takes_long_is_named_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.tasks = [Running("first", bench.now), Running("waits", None)]
    bench.now += 599
    assert not bench.workload.blocked()
    assert caplog.messages == []
    bench.now += 2
    assert [bench.workload.blocked() for _ in range(3)] == [False] * 3
    assert caplog.messages == ["my_house.report (first) has been running for over 10 min"]


def test_a_worker_is_blocked_while_such_tasks_hold_all_places(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.tasks = [Running("first", bench.now), Running("second", bench.now)]
    bench.now += 601
    assert [bench.workload.blocked() for _ in range(2)] == [True, True]
    errors = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "all 2 slots" in errors[0]
    bench.tasks.pop()
    assert not bench.workload.blocked()
    bench.tasks.append(Running("poll", 1.0, is_poll=True))
    assert not bench.workload.blocked(), "it has a slot of its own"


def test_a_worker_is_full_while_tasks_of_any_age_hold_all_places(bench: Bench) -> None:
    bench.tasks = [Running("first", bench.now), Running("waits", None)]
    bench.tasks.append(Running("poll", bench.now, is_poll=True))
    assert not bench.workload.is_full()
    bench.tasks.append(Running("second", bench.now))
    assert bench.workload.is_full()
    assert not bench.workload.blocked()


def test_requested_tasks_are_told_apart_from_scheduled_ones(bench: Bench) -> None:
    asked = {COMMAND_HEADER: "id"}
    bench.tasks = [Running("a", 5.0), Running("b", 6.0, "x", asked), Running("c", None, "x", asked)]
    assert bench.workload.asked_for() == {"b": 6.0, "c": None}
