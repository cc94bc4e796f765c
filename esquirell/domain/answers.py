"""The shapes of the answers to commands; documentation and JSON schemas are generated from them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from esquirell.domain.requests import Level
from esquirell.domain.schedule import Origin, Result, Schedule

Moment = Annotated[
    str, Field(description="UTC, ISO 8601", json_schema_extra={"format": "date-time"})
]


class AnswerData(BaseModel):
    """The `data` of an answer."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Accepted(AnswerData):
    """The first answer to a job."""

    task_id: str


class ScheduleState(Schedule):
    """A schedule with its last and next run."""

    last_run_at: Moment | None
    next_run_at: Moment | None
    last_result: Result | None
    origin: Origin


class ScheduleList(AnswerData):
    """All schedules."""

    schedules: tuple[ScheduleState, ...]


class Removed(AnswerData):
    """The name of the removed object."""

    name: str


class MeterSummary(AnswerData):
    """A meter with its configuration and status."""

    name: str
    label: str
    profile: str
    protocol: str
    state: Literal["online", "offline"]
    reason: str | None
    last_success: Moment | None
    failures: int


class MeterList(AnswerData):
    """All meters."""

    meters: tuple[MeterSummary, ...]


class MeterOutcome(AnswerData):
    """The result of reading one meter."""

    status: Literal["ok", "error"]
    measured_at: Moment | None = None
    code: str | None = None
    error: str | None = None


class Fetched(AnswerData):
    """The result of reading each meter."""

    task_id: str
    meters: dict[str, MeterOutcome]


class MeterAdded(AnswerData):
    """A meter that was added or changed, and the machine that has its file.

    `reading` is its test reading, null if it was not read; `reports_often` tells whether it
    reported by itself so often that `publish_every` was set.
    """

    name: str
    label: str
    host: str
    file: str
    reading: dict[str, Any] | None
    reports_often: bool = False


class MeterRemoved(AnswerData):
    """A meter that was removed; `forgotten` is the number of deleted readings."""

    name: str
    forgotten: int


class FilledHours(AnswerData):
    """The number of hours of a meter that were (or would be) written, and that were skipped."""

    written: int
    left: int


class Backfilled(AnswerData):
    """The result of a backfill; `problems` are one sentence each."""

    task_id: str
    hours: dict[str, FilledHours]
    problems: list[str] = []


class Tried(AnswerData):
    """A reading that was neither stored nor published; `duration_ms` is how long it took."""

    name: str
    reading: dict[str, Any]
    duration_ms: int


class Captured(BaseModel):
    """The raw answer of a meter, without anything that identifies the device."""

    model_config = ConfigDict(defer_build=True, extra="allow")

    product_id: str


class LevelSet(AnswerData):
    """The new log level."""

    level: Level


class Restarting(AnswerData):
    """The service restarts within seconds."""


class TaskResult(AnswerData):
    """What a task returned."""

    task_id: str
    result: Any


class TaskDescription(AnswerData):
    """A task that can be run; `args` is the JSON schema of its arguments."""

    name: str
    description: str
    args: dict[str, Any]


class TaskList(AnswerData):
    """The tasks that can be scheduled and run."""

    tasks: tuple[TaskDescription, ...]


class HealthReport(BaseModel):
    """The health of the service, as published on `bridge/health`."""

    model_config = ConfigDict(defer_build=True, extra="allow")

    at: Moment
    healthy: bool
    problems: tuple[str, ...]
    roles: dict[str, Any]
    processes: tuple[dict[str, Any], ...]
    queue: dict[str, Any]
    redis: dict[str, Any]
    database: dict[str, Any]
    meters: dict[str, Any]
    meters_total: int
    meters_failing: int
