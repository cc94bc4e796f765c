from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from billiard.exceptions import WorkerLostError
from celery import Celery
from support.configuration import METER, ConfigurationFolder

from esquirell.daemon.records import on_end, on_failure, on_revoked
from esquirell.domain.command import CommandRecord
from esquirell.domain.errors import MeterUnreachableError
from esquirell.domain.tasks import COMMAND_HEADER
from esquirell.runtime.root import Runtime, use

RUNNING = CommandRecord("id-1", datetime(2026, 11, 22, tzinfo=UTC), "mqtt", "fetch")


class Request:
    def __init__(self) -> None:
        self.headers = {COMMAND_HEADER: "id-1"}


class Task:
    """What Celery says of a task that was asked for by a command."""

    name = "my_house.heat"
    request = Request()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    runtime = Runtime(ConfigurationFolder(tmp_path).load(METER), Celery())
    runtime.prepare()
    runtime.storage.commands.record(RUNNING)
    use(runtime)
    yield runtime
    runtime.storage.database.close()
    use(None)


def ended(runtime: Runtime, retval: object, state: str | None) -> str | None:
    task: Any = Task()
    on_end(task, retval, state)
    record = runtime.storage.commands.get("id-1")
    assert record
    return record.answer.error if record.answer else None


def test_a_failed_task_says_why(runtime: Runtime) -> None:
    error = ValueError("too hot")
    assert ended(runtime, error, "FAILURE") == "the task failed: ValueError: too hot"
    assert code(runtime) == "task_failed"


def code(runtime: Runtime) -> str | None:
    record = runtime.storage.commands.get("id-1")
    assert record
    assert record.answer
    return record.answer.code


@pytest.mark.parametrize(("expired", "wanted"), [(True, "timeout"), (False, "cancelled")])
def test_a_task_that_was_never_run_has_a_reason(
    runtime: Runtime, expired: bool, wanted: str
) -> None:
    task: Any = Task()
    request: Any = Request()
    request.id = "id-1"
    on_revoked(task, request, expired=expired)
    assert code(runtime) == wanted


def test_a_process_that_died_is_a_failed_task(runtime: Runtime) -> None:
    task: Any = Task()
    on_failure(task, WorkerLostError("signal 9"))
    assert code(runtime) == "task_failed"


def test_an_error_of_ours_keeps_its_code(runtime: Runtime) -> None:
    ended(runtime, MeterUnreachableError("unreachable", "no route"), "FAILURE")
    assert code(runtime) == "unreachable"


def test_a_killed_process_does_not_record_its_own_end(runtime: Runtime) -> None:
    assert ended(runtime, None, None) is None
    record = runtime.storage.commands.get("id-1")
    assert record
    assert record.ended_at is None
