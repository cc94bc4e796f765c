"""The tasks that may be scheduled and run on request: no others can be reached from outside."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from esquirell.domain.errors import CommandError
from esquirell.domain.requests import sentence
from esquirell.domain.schedule import long_task_name, short_task_name

# What a message for a worker says of its origin: the id of a command, the name of a schedule and
# its interval in seconds (0: none).
COMMAND_HEADER = "esquirell_command"
SCHEDULE_HEADER = "esquirell_schedule"
EVERY_HEADER = "esquirell_every"


class NoArguments(BaseModel):
    """A task that takes no arguments."""

    model_config = ConfigDict(extra="forbid")


class CeleryTask(Protocol):
    """What is to be known of a Celery task."""

    name: str


Task = TypeVar("Task", bound=CeleryTask)


@dataclass(frozen=True, slots=True)
class SchedulableTask:
    """A task by its long name, what it does, and the model of its arguments."""

    name: str
    description: str
    arguments: type[BaseModel]

    def payload(self) -> dict[str, Any]:
        """Describe the task as `task/list` does."""
        schema = self.arguments.model_json_schema()
        return {"name": short_task_name(self.name), "description": self.description, "args": schema}

    def check(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Validate arguments and give them as JSON, defaults left to the task.

        Raises CommandError (`invalid_payload`).
        """
        try:
            model = self.arguments.model_validate(dict(args))
        except ValidationError as error:
            task = short_task_name(self.name)
            raise CommandError("invalid_payload", f"args of {task}: {sentence(error)}") from None
        return model.model_dump(mode="json", exclude_unset=True)


class TaskRegistry:
    """The tasks marked as schedulable, by their long names."""

    def __init__(self) -> None:
        self._marked: list[tuple[CeleryTask, type[BaseModel]]] = []

    def add(self, task: CeleryTask, arguments: type[BaseModel]) -> None:
        """Register a task."""
        # A shared task is a promise: to look at it makes Celery read the configuration, which
        # the mere import of a module with tasks must not need.
        self._marked.append((task, arguments))

    def get(self, name: str) -> SchedulableTask:
        """Find a task by its long or short name. Raises CommandError (`unknown_task`)."""
        known = {task.name: task for task in self.all()}
        try:
            return known[long_task_name(name)]
        except KeyError:
            listed = ", ".join(short_task_name(task) for task in known)
            raise CommandError(
                "unknown_task", f"there is no schedulable task {name!r}; known: {listed}"
            ) from None

    def all(self) -> list[SchedulableTask]:
        """Give all tasks by name."""
        tasks = {task.name: _described(task, arguments) for task, arguments in self._marked}
        return [tasks[name] for name in sorted(tasks)]


def _described(task: CeleryTask, arguments: type[BaseModel]) -> SchedulableTask:
    description = (inspect.getdoc(task) or "").partition("\n")[0]
    return SchedulableTask(task.name, description, arguments)


registry = TaskRegistry()


def schedulable(arguments: type[BaseModel] = NoArguments) -> Callable[[Task], Task]:
    """Mark a Celery task as one that may be scheduled and run over MQTT.

    `arguments` is the pydantic model of its keyword arguments; what does not fit it is
    refused before a worker sees it. Put this decorator above `@shared_task`.
    """

    def mark(task: Task) -> Task:
        registry.add(task, arguments)
        return task

    return mark
