"""What each command takes: one model per command, from which its JSON schema is made."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from esquirell.domain.errors import CommandError
from esquirell.domain.meter import Slug
from esquirell.domain.schedule import Schedule, Seconds

PAYLOAD_LIMIT = 64 * 1024
NAME_LIMIT = 64

Transaction = str | int | float | None


class Payload(BaseModel):
    """What every command may carry; `transaction` comes back with the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transaction: Annotated[Transaction, Field(description="comes back with the answer")] = None


class Nothing(Payload):
    """A command that needs to be told nothing."""


Reference = Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]


class Meters(Payload):
    """The meters to read; without them, all."""

    meters: tuple[Reference, ...] | None = None


class FetchArguments(BaseModel):
    """What the task that reads meters is called with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meters: tuple[Slug, ...] | None = None


class RollupArguments(FetchArguments):
    """What the task that works up statistics is called with; `since`: from then on anew."""

    since: AwareDatetime | None = None


class Named(Payload):
    """The meter or schedule that is meant."""

    name: Reference


class NewSchedule(Schedule, Payload):
    """A schedule to add."""


class ScheduleChange(Named):
    """The fields of a schedule to change; what is not named stays."""

    every: Seconds | None = None
    cron: str | None = None
    timezone: str | None = None
    meters: tuple[Slug, ...] | None = None
    # Factories: a default would stand in the JSON schema, and what is not named stays.
    args: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = Field(default_factory=lambda: True)
    expires: Seconds | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "ScheduleChange":
        if self.every is not None and self.cron is not None:
            raise ValueError("give either every (seconds) or cron (five fields), not both")
        return self

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that were named, null included where null means something."""
        named = self.model_dump(mode="json", exclude_unset=True, exclude={"name", "transaction"})
        meaningful = ("meters", "timezone", "expires")
        return {
            key: value for key, value in named.items() if value is not None or key in meaningful
        }


class TaskCall(Payload):
    """A task to run and its arguments."""

    task: Annotated[str, Field(min_length=1, max_length=200)]
    args: dict[str, Any] = Field(default_factory=dict)


COMMANDS: dict[str, type[Payload]] = {
    "fetch": Meters,
    "meter/list": Nothing,
    "meter/test": Named,
    "schedule/list": Nothing,
    "schedule/add": NewSchedule,
    "schedule/set": ScheduleChange,
    "schedule/enable": Named,
    "schedule/disable": Named,
    "schedule/reset": Named,
    "schedule/remove": Named,
    "schedule/run": Named,
    "task/list": Nothing,
    "task/run": TaskCall,
    "health": Nothing,
}


@cache
def schemas() -> dict[str, Any]:
    """Give the JSON schema of each command's payload."""
    return {command: model.model_json_schema() for command, model in COMMANDS.items()}


def read_json(payload: bytes) -> dict[str, Any]:
    """Read a payload: an object, or nothing, which is an empty object.

    Raises CommandError (`too_large`, `invalid_json`, `invalid_payload`).
    """
    if len(payload) > PAYLOAD_LIMIT:
        raise CommandError("too_large", f"the payload has over {PAYLOAD_LIMIT // 1024} KiB")
    if not payload.strip():
        return {}
    try:
        data = json.loads(payload.decode())
        # What can't be written again (NaN, 1e999, half a surrogate pair) was no JSON in UTF-8.
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise CommandError("invalid_json", "the payload is no JSON in UTF-8") from None
    if not isinstance(data, dict):
        raise CommandError("invalid_payload", "the payload must be a JSON object, such as {}")
    return data


def check_known(command: str) -> None:
    """Refuse a command that there is not. Raises CommandError (`unknown_command`)."""
    if command not in COMMANDS:
        known, asked = ", ".join(COMMANDS), command[:NAME_LIMIT]
        raise CommandError("unknown_command", f"there is no command {asked!r}; known: {known}")


def parse(command: str, data: Mapping[str, Any]) -> Payload:
    """Check what a command was given.

    Raises CommandError (`unknown_command`, `invalid_payload`).
    """
    check_known(command)
    try:
        return COMMANDS[command].model_validate(data)
    except ValidationError as error:
        raise CommandError("invalid_payload", sentence(error)) from None


def sentence(error: ValidationError) -> str:
    """Say in one sentence what is wrong first, without repeating what was sent."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message = message.replace("Extra inputs are not permitted", "is not known here")
    return f"{place}: {message}" if place else message
