"""The table of commands: MQTT, command line, page, API, schemas and docs derive from it.

To add a command: its payload in domain/requests.py, the shape of its answer in
domain/answers.py, a method of Handlers, and an entry here.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from esquirell.domain import answers, requests
from esquirell.domain.command import Source
from esquirell.domain.errors import CommandError
from esquirell.domain.payload import secret_fields, sentence
from esquirell.domain.record import record
from esquirell.domain.requests import NAME_LIMIT, Payload
from esquirell.services.handlers import Data, Handlers, Work

P = TypeVar("P", bound=Payload)
Outcome = TypeVar("Outcome")

ANYWHERE: frozenset[Source] = frozenset({"mqtt", "cli", "web", "api"})
# Too powerful for every client that may publish to the broker.
NOT_MQTT: frozenset[Source] = ANYWHERE - {"mqtt"}
# The bridge answers these itself: sent from elsewhere they would reach another process.
MQTT_ONLY: frozenset[Source] = frozenset({"mqtt"})


@record
class _Command(Generic[P, Outcome]):
    """A command: its name, payload, handler, answer, and allowed sources.

    Fields of type SecretStr are not recorded.
    """

    name: str
    payload: type[P]
    handler: Callable[[Handlers, P], Outcome]
    answer: type[BaseModel]
    sources: frozenset[Source] = field(default=ANYWHERE, kw_only=True)

    def parse(self, data: Mapping[str, Any]) -> P:
        """Validate a payload. Raises CommandError (`invalid_payload`)."""
        try:
            return self.payload.model_validate(data)
        except ValidationError as error:
            raise CommandError("invalid_payload", sentence(error)) from None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The fields of the payload that must not be recorded."""
        return secret_fields(self.payload)


@record
class Query(_Command[P, Data]):
    """A read-only command: answered at once, and not recorded."""


@record
class Change(_Command[P, Data]):
    """A command that changes something: recorded, and answered at once."""


@record
class Job(_Command[P, Work]):
    """A command carried out by a worker: recorded, accepted, and answered when it has ended.

    `answer` is the shape of the final answer.
    """

    def end(self, task_id: str, outcome: object) -> dict[str, Any]:
        """Return the data of the final answer in the shape of `answer`, from the task's result."""
        known = self.answer.model_fields
        task = {"task_id": task_id} if "task_id" in known else {}
        if "result" in known or not isinstance(outcome, dict):
            return task | {"result": outcome}
        return task | outcome


Command = Query[Any] | Change[Any] | Job[Any]

_TABLE: tuple[Command, ...] = (
    Job("fetch", requests.Meters, Handlers.fetch, answers.Fetched),
    Query("meter/list", requests.EmptyPayload, Handlers.list_meters, answers.MeterList),
    Job("meter/test", requests.NamePayload, Handlers.test_meter, answers.Tried),
    Job(
        "meter/capture",
        requests.NamePayload,
        Handlers.capture_meter,
        answers.Captured,
        sources=NOT_MQTT,
    ),
    Change("meter/try", requests.MeterTrial, Handlers.try_meter, answers.Tried, sources=NOT_MQTT),
    Change(
        "meter/add", requests.NewMeter, Handlers.add_meter, answers.MeterAdded, sources=NOT_MQTT
    ),
    Change(
        "meter/set", requests.MeterChange, Handlers.set_meter, answers.MeterAdded, sources=NOT_MQTT
    ),
    Change(
        "meter/exchange",
        requests.MeterExchange,
        Handlers.exchange_meter,
        answers.MeterAdded,
        sources=NOT_MQTT,
    ),
    Change(
        "meter/remove",
        requests.MeterRemoval,
        Handlers.remove_meter,
        answers.MeterRemoved,
        sources=NOT_MQTT,
    ),
    Query("schedule/list", requests.EmptyPayload, Handlers.list_schedules, answers.ScheduleList),
    Change("schedule/add", requests.NewSchedule, Handlers.add_schedule, answers.ScheduleState),
    Change("schedule/set", requests.ScheduleChange, Handlers.set_schedule, answers.ScheduleState),
    Change(
        "schedule/enable", requests.NamePayload, Handlers.enable_schedule, answers.ScheduleState
    ),
    Change(
        "schedule/disable", requests.NamePayload, Handlers.disable_schedule, answers.ScheduleState
    ),
    Change("schedule/reset", requests.NamePayload, Handlers.reset_schedule, answers.ScheduleState),
    Change("schedule/remove", requests.NamePayload, Handlers.remove_schedule, answers.Removed),
    Job("schedule/run", requests.NamePayload, Handlers.run_schedule, answers.TaskResult),
    Query("task/list", requests.EmptyPayload, Handlers.list_tasks, answers.TaskList),
    Job("task/run", requests.TaskCall, Handlers.run_task, answers.TaskResult),
    Job("ha/backfill", requests.Backfill, Handlers.backfill, answers.Backfilled),
    Change(
        "log_level", requests.LogLevel, Handlers.set_log_level, answers.LevelSet, sources=MQTT_ONLY
    ),
    Change(
        "restart", requests.EmptyPayload, Handlers.restart, answers.Restarting, sources=MQTT_ONLY
    ),
    Query("health", requests.EmptyPayload, Handlers.report_health, answers.HealthReport),
)

COMMANDS: Mapping[str, Command] = {command.name: command for command in _TABLE}


def commands_for(source: Source) -> dict[str, Command]:
    """Return the commands allowed for a source, by name."""
    return {name: command for name, command in COMMANDS.items() if source in command.sources}


def find(name: str, source: Source) -> Command:
    """Return a command allowed for this source. Raises CommandError (`unknown_command`)."""
    known = commands_for(source)
    if name not in known:
        asked, listed = name[:NAME_LIMIT], ", ".join(known)
        raise CommandError("unknown_command", f"there is no command {asked!r}; known: {listed}")
    return known[name]


def schemas(source: Source) -> dict[str, Any]:
    """Return the JSON schema of the payload of each command allowed for a source."""
    found = commands_for(source).items()
    return {
        name: command.payload.model_json_schema(schema_generator=_Concise)
        for name, command in found
    }


class _Concise(GenerateJsonSchema):
    """Omits the titles, which repeat the names and make up a third of the schemas."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - pydantic's signature
        del schema
        return False
