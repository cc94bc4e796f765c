"""One dispatcher for MQTT and the command line: a table of commands; errors become answers."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from esquirell.domain.command import Answer, Request
from esquirell.domain.errors import CommandError, EsquirellError
from esquirell.domain.requests import (
    Meters,
    Named,
    NewSchedule,
    Payload,
    ScheduleChange,
    TaskCall,
    parse,
)
from esquirell.domain.schedule import FETCH, TASK_PREFIX, long_task_name
from esquirell.domain.tasks import TaskRegistry
from esquirell.services.edits import Edits
from esquirell.services.health import Health
from esquirell.services.jobs import Jobs
from esquirell.services.schedules import Schedules

log = logging.getLogger(__name__)

UNFORESEEN = "command %s failed in an unforeseen way"
INTERNAL = Answer("error", {}, "an unforeseen fault: see the log", "internal")

FETCH_TASK = TASK_PREFIX + FETCH
TEST_TASK = TASK_PREFIX + "test_meter"


@dataclass(frozen=True, slots=True)
class Work:
    """What a long command lets a worker do."""

    task: str
    kwargs: Mapping[str, Any]
    schedule: str | None = None


Done = Answer | Work


class Commands:
    """Runs commands. Those that only look are answered; the others are recorded, too."""

    def __init__(
        self,
        edits: Edits,
        schedules: Schedules,
        jobs: Jobs,
        health: Health,
        tasks: TaskRegistry,
    ) -> None:
        self._edits = edits
        self._schedules = schedules
        self._jobs = jobs
        self._health = health
        self._tasks = tasks
        self._looks: dict[str, Callable[[], dict[str, Any]]] = {
            "health": health.report,
            "meter/list": self._list_meters,
            "schedule/list": self._list_schedules,
            "task/list": self._list_tasks,
        }
        self._changes: dict[str, Callable[[Any], Done]] = {
            "fetch": self._fetch,
            "meter/test": self._test_meter,
            "schedule/add": self._add,
            "schedule/set": self._set,
            "schedule/enable": lambda named: self._enable(named, enabled=True),
            "schedule/disable": lambda named: self._enable(named, enabled=False),
            "schedule/reset": self._reset,
            "schedule/remove": self._remove,
            "schedule/run": self._run_schedule,
            "task/run": self._run_task,
        }

    def handle(self, request: Request) -> Answer:
        """Run a command and give its answer, `accepted` for what a worker does. Never raises."""
        try:
            payload = parse(request.command, request.data)
            look = self._looks.get(request.command)
            return Answer("ok", look()) if look else self._change(request, payload)
        except EsquirellError as error:
            return failure(error)
        except Exception:  # the border: whoever asked gets an answer
            log.exception(UNFORESEEN, request.command)
            return INTERNAL

    def _change(self, request: Request, payload: Payload) -> Answer:
        record, repeated = self._jobs.open(request)
        if repeated:
            return record.answer or _accepted(record.id)
        try:
            done = self._changes[request.command](payload)
        except EsquirellError as error:
            done = failure(error)
        except Exception:  # the border: a record must not stay open
            log.exception(UNFORESEEN, request.command)
            done = INTERNAL
        if isinstance(done, Work):
            self._jobs.send(record.id, done.task, done.kwargs, done.schedule)
            return _accepted(record.id)
        self._jobs.end(record.id, done, told=True)
        return done

    def _fetch(self, wanted: Meters) -> Done:
        self._edits.check_meters(wanted.meters)
        kwargs = {} if wanted.meters is None else {"meters": list(wanted.meters)}
        return Work(FETCH_TASK, kwargs)

    def _test_meter(self, named: Named) -> Done:
        self._edits.check_meters([named.name])
        return Work(TEST_TASK, {"name": named.name})

    def _add(self, new: NewSchedule) -> Done:
        self._edits.add(new)
        return self._changed(new.name)

    def _set(self, change: ScheduleChange) -> Done:
        self._edits.set(change)
        return self._changed(change.name)

    def _enable(self, named: Named, *, enabled: bool) -> Done:
        self._edits.enable(named.name, enabled=enabled)
        return self._changed(named.name)

    def _reset(self, named: Named) -> Done:
        self._edits.reset(named.name)
        return self._changed(named.name)

    def _remove(self, named: Named) -> Done:
        self._edits.remove(named.name)
        self._schedules.removed(named.name)
        return Answer("ok", {"name": named.name})

    def _changed(self, name: str) -> Answer:
        self._schedules.changed()
        state = self._schedules.states().get(name)
        if state is None:
            raise CommandError("unknown_schedule", f"schedule {name} was removed meanwhile")
        return Answer("ok", state)

    def _run_schedule(self, named: Named) -> Done:
        schedule = self._edits.find(named.name).effective()
        return Work(long_task_name(schedule.task), schedule.kwargs, schedule.name)

    def _run_task(self, call: TaskCall) -> Done:
        task = self._tasks.get(call.task)
        return Work(task.name, task.check(call.args))

    def _list_meters(self) -> dict[str, Any]:
        return {"meters": self._health.meters()}

    def _list_schedules(self) -> dict[str, Any]:
        return {"schedules": list(self._schedules.states().values())}

    def _list_tasks(self) -> dict[str, Any]:
        return {"tasks": [task.payload() for task in self._tasks.all()]}


def failure(error: EsquirellError) -> Answer:
    """Turn an error into the answer that tells it."""
    return Answer("error", {}, str(error), error.code)


def _accepted(task_id: str) -> Answer:
    return Answer("accepted", {"task_id": task_id})
