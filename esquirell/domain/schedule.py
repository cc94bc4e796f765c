"""A schedule: a named rule that runs a task for some meters."""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from esquirell.domain.meter import Slug
from esquirell.domain.numbers import NoTruth
from esquirell.domain.record import record

FETCH = "fetch_and_save_energy_data"
# The built-in tasks that read meters.
READS = frozenset({FETCH, "test_meter", "capture_meter"})
TASK_PREFIX = "esquirell.tasks."
LEAST_EXPIRY = 10
LONGEST_INTERVAL_S = 31_536_000
# The limit of Home Assistant's text fields.
LONGEST_CRONTAB = 255
LONGEST_ZONE = 64

Origin = Literal["config", "user"]
Result = Literal["ok", "error", "expired", "skipped"]


def short_task_name(name: str) -> str:
    """Strip the prefix of the built-in tasks: published and stored names are short."""
    return name.removeprefix(TASK_PREFIX)


def long_task_name(name: str) -> str:
    """Return a task's name as registered with Celery; one without a dot is a built-in task's."""
    return name if "." in name else TASK_PREFIX + name


# The order of minimum and maximum in the JSON schema.
Seconds = Annotated[int, Field(ge=1, le=LONGEST_INTERVAL_S), NoTruth]
Crontab = Annotated[str, Field(max_length=LONGEST_CRONTAB)]
Zone = Annotated[str, Field(max_length=LONGEST_ZONE)]


class Schedule(BaseModel):
    """What to run, when, and for which meters.

    `every` is in seconds, on the grid unix time = 0 (mod every); `cron` has five fields,
    in `timezone`, else in the configured zone; `meters` null means all; `expires` is in
    seconds, null means the interval, at least ten.
    """

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    name: Slug
    task: Annotated[str, Field(min_length=1, max_length=200)] = FETCH
    meters: tuple[Slug, ...] | None = None
    every: Seconds | None = None
    cron: Crontab | None = None
    timezone: Zone | None = None
    args: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True
    expires: Seconds | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "Schedule":
        if (self.every is None) == (self.cron is None):
            raise ValueError("give either every (seconds) or cron (five fields)")
        if self.timezone is not None and self.cron is None:
            raise ValueError("timezone goes with cron; an interval has none")
        return self

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments of the task, with the meters unless they are all."""
        return self.args | ({} if self.meters is None else {"meters": list(self.meters)})

    @property
    def expires_s(self) -> int:
        """Seconds after which a message that no worker took is discarded."""
        return self.expires or max(self.every or 60, LEAST_EXPIRY)


@record
class StoredSchedule:
    """A schedule as stored: the file's defaults and the user's changes are kept apart.

    `base` is from the configuration file (None: a user added the schedule), `overrides` are the
    fields changed by a user, `removed` is a user's removal, which survives restarts.
    """

    name: str
    base: Mapping[str, Any] | None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    removed: bool = False

    @property
    def origin(self) -> Origin:
        """Its origin: the file, or a user, even if only one field was changed."""
        return "config" if self.base is not None and not self.overrides else "user"

    def effective(self) -> Schedule:
        """Apply the user's changes to the file's defaults; the user's rule replaces the file's.

        Raises pydantic.ValidationError if the result is invalid.
        """
        merged = dict(self.base or {}) | dict(self.overrides) | {"name": self.name}
        if self.overrides.get("every") is not None:
            merged["cron"] = None
        elif self.overrides.get("cron") is not None:
            merged["every"] = None
        if merged.get("cron") is None:
            merged["timezone"] = None
        return Schedule.model_validate(merged)


# An edit gets all schedules by name; it returns those to insert or replace, None to delete.
Changes = Mapping[str, StoredSchedule | None]
Edit = Callable[[Mapping[str, StoredSchedule]], Changes]


@record
class LastRun:
    """When a schedule last ran, and the result."""

    at: datetime | None = None
    result: Result | None = None
