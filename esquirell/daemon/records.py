"""Writing what came of each task into the record of the schedule or command behind it."""

import logging
from collections.abc import Mapping
from typing import Any

from celery import Task
from celery.signals import task_postrun, task_revoked
from celery.worker.request import Request

from esquirell.celery import app
from esquirell.domain.command import Answer
from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.domain.schedule import Result
from esquirell.runtime import COMMAND_HEADER, SCHEDULE_HEADER, current
from esquirell.services.fetch import fetch_answer
from esquirell.tasks import fetch_and_save_energy_data, test_meter

log = logging.getLogger(__name__)


def connect() -> None:
    """Follow the end of every task of this process."""
    task_postrun.connect(on_end, weak=False)
    task_revoked.connect(on_revoked, weak=False)


def on_end(task: "Task[..., object]", retval: object, state: str, **_: object) -> None:
    """Record the end of a task that ran."""
    answer = _answer(task.name, retval, state)
    _record(task.request.headers or {}, answer, "ok" if answer.status == "ok" else "error")


def on_revoked(request: Request, *, expired: bool, **_: object) -> None:
    """Record that a task was thrown away: nobody took it in time, or somebody cancelled it."""
    if expired:
        answer = Answer("error", {}, "no worker took the task in time", "timeout")
    else:
        answer = Answer("error", {}, "the task was cancelled", "cancelled")
    _record(request.request_dict, answer, "expired" if expired else "error")


def _answer(task: str, retval: object, state: str) -> Answer:
    if state == "SUCCESS":
        return _judge(task, retval)
    if isinstance(retval, EsquirellError):
        return Answer("error", {}, str(retval), retval.code)
    kind = type(retval).__name__
    return Answer("error", {}, f"the task failed: {kind}: {retval}", "task_failed")


def _judge(task: str, result: object) -> Answer:
    if isinstance(result, dict) and task == fetch_and_save_energy_data.name:
        return fetch_answer(result)
    if isinstance(result, dict) and task == test_meter.name:
        return Answer("ok", result)
    return Answer("ok", {"result": result})


def _record(headers: Mapping[str, Any], answer: Answer, result: Result) -> None:
    runtime = current(app)
    try:
        if command_id := headers.get(COMMAND_HEADER):
            runtime.jobs.end(command_id, answer)
        if schedule := headers.get(SCHEDULE_HEADER):
            runtime.schedules.ran(schedule, result)
    except UnavailableError as error:
        log.warning("the end of a task is not recorded: %s", error)
