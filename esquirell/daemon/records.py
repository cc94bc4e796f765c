"""Recording each task's outcome for the schedule or command behind it."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from billiard.exceptions import Terminated, WorkerLostError
from celery import Task
from celery.app.task import Context
from celery.signals import task_failure, task_postrun, task_prerun, task_revoked
from celery.states import IGNORED, RETRY, SUCCESS

from esquirell.celery import app
from esquirell.domain.command import Answer
from esquirell.domain.errors import EsquirellError, FetchError, UnavailableError
from esquirell.domain.schedule import Result, short_task_name
from esquirell.domain.tasks import COMMAND_HEADER, EVERY_HEADER, SCHEDULE_HEADER
from esquirell.runtime.root import current
from esquirell.services.fetch import fetch_answer
from esquirell.tasks import fetch_and_save_energy_data

log = logging.getLogger(__name__)


def connect() -> None:
    """Follow every task of this process to its end."""
    task_prerun.connect(on_start, weak=False)
    task_postrun.connect(on_end, weak=False)
    task_revoked.connect(on_revoked, weak=False)
    task_failure.connect(on_failure, weak=False)


def on_start(task: "Task[..., object]", **_: object) -> None:
    """Keep a running task from expiring when it retries: only untaken messages expire."""
    task.request.expires = None


def on_end(task: "Task[..., object]", retval: object, state: str | None, **_: object) -> None:
    """Record the end of a task that ran; `on_revoked` records that of a cancelled one."""
    if state in (None, RETRY) or isinstance(retval, Terminated):
        # Without a state the process of the task is being killed: the killer knows why, and of two
        # outcomes the first recorded counts. A task that retries has not ended.
        return
    headers = task.request.headers or {}
    if state == IGNORED:
        # It ignores its result, or another task replaces it.
        _record(headers, Answer("ok"), None)
    elif state == SUCCESS:
        _record(headers, _judge(task.name, retval), _plain(retval))
    elif isinstance(retval, FetchError):
        # The result of each meter was logged when it was read.
        _record(headers, fetch_answer(retval.meters), {"meters": retval.meters})
    else:
        answer = _failure(retval)
        _record(headers, answer, {})
        if isinstance(retval, EsquirellError) and COMMAND_HEADER not in headers:
            # No caller waits for the answer, and Celery logs only unexpected errors.
            log.warning("%s failed: %s", short_task_name(task.name), answer.error)


def on_revoked(
    sender: "Task[..., object]", request: Context, *, expired: bool, **_: object
) -> None:
    """Record that a task was discarded: not taken in time, or cancelled."""
    if expired:
        answer = Answer("error", {}, "no worker took the task in time", "timeout")
    else:
        log.info("%s (%s) was cancelled", short_task_name(sender.name), request.id)
        answer = Answer("error", {}, "the task was cancelled", "cancelled")
    _record(request.headers or {}, answer, {}, "expired" if expired else "error")


def on_overlap(headers: Mapping[str, Any]) -> None:
    """Record that a run of a schedule was left out, as an earlier one has not ended."""
    name = headers[SCHEDULE_HEADER]
    log.warning("schedule %s is skipped while its earlier run has not ended", name)
    _record(headers, Answer("ok"), None, "skipped")


def on_failure(sender: "Task[..., object]", exception: Exception, **_: object) -> None:
    """Record that a task was lost with the process that ran it; `on_end` records the others."""
    if isinstance(exception, WorkerLostError):
        answer = Answer("error", {}, "the process that ran the task has died", "task_failed")
        _record(sender.request.headers or {}, answer, {})


def on_unknown(name: str, headers: Mapping[str, Any]) -> None:
    """Record that a message named a task that does not exist in this worker."""
    sentence = f"there is no task {name} in the worker: is its module in [tasks] modules there?"
    _record(headers, Answer("error", {}, sentence, "unknown_task"), {})


def _judge(task: str, outcome: object) -> Answer:
    if isinstance(outcome, dict) and task == fetch_and_save_energy_data.name:
        return fetch_answer(outcome["meters"])
    return Answer("ok")


def _failure(error: object) -> Answer:
    if isinstance(error, EsquirellError):
        return Answer("error", {}, str(error), error.code)
    reason = f"the task failed: {type(error).__name__}: {error}"
    # An error may contain bytes that are not text, such as a file name.
    return Answer("error", {}, reason.encode(errors="replace").decode(), "task_failed")


def _plain(outcome: object) -> object:
    """Return a JSON-compatible form: a user's task may return anything."""
    try:
        json.dumps(outcome, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return f"a {type(outcome).__name__} that is no JSON"
    return outcome


def _result(answer: Answer, outcome: object) -> Result:
    """Return the result of a run; one whose meters were all being read already was skipped."""
    if outcome == {"meters": {}}:
        return "skipped"
    return "ok" if answer.status == "ok" else "error"


def _record(
    headers: Mapping[str, Any], answer: Answer, outcome: object, result: Result | None = None
) -> None:
    runtime = current(app)
    if command_id := headers.get(COMMAND_HEADER):
        try:
            runtime.jobs.finished(command_id, answer, outcome)
        except UnavailableError as error:
            log.warning("the result of task %s could not be recorded: %s", command_id, error)
    if schedule := headers.get(SCHEDULE_HEADER):
        every = int(headers.get(EVERY_HEADER) or 0)
        try:
            runtime.schedules.ran(schedule, result or _result(answer, outcome), every)
        except UnavailableError as error:
            log.debug("a run of schedule %s could not be recorded: %s", schedule, error)
