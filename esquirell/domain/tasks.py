"""The tasks that may be scheduled and run on request; no others can be reached from outside."""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import FunctionType
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from esquirell.domain.command import Source
from esquirell.domain.errors import CommandError
from esquirell.domain.nearest import hint
from esquirell.domain.payload import sentence
from esquirell.domain.record import record
from esquirell.domain.schedule import long_task_name, short_task_name

# Headers of a message for a worker that name its origin: the id of a command, the name of a
# schedule, and the schedule's interval in seconds (0: none).
COMMAND_HEADER = "esquirell_command"
SCHEDULE_HEADER = "esquirell_schedule"
EVERY_HEADER = "esquirell_every"
_UNNAMED = {
    inspect.Parameter.VAR_POSITIONAL: "*{}",
    inspect.Parameter.VAR_KEYWORD: "**{}",
    inspect.Parameter.POSITIONAL_ONLY: "{} by its position only",
}


class CeleryTask(Protocol):
    """The part of a Celery task that we use."""

    name: str

    @property
    def run(self) -> Callable[..., object]:
        """The task's function; of a bound task with `self` bound already."""


Task = TypeVar("Task", bound=CeleryTask)
# The model of a task's arguments. None: derived from its signature. False: not to be run by name.
Arguments = type[BaseModel] | Literal[False] | None


@record
class SchedulableTask:
    """A task: its long name, its description, and the model of its arguments.

    Without `over_mqtt` it can't be run over MQTT.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    over_mqtt: bool

    def payload(self) -> dict[str, Any]:
        """Return the task as `task/list` describes it."""
        schema = self.arguments.model_json_schema()
        return {"name": short_task_name(self.name), "description": self.description, "args": schema}

    def check(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Validate arguments and return them as JSON, without defaults.

        Raises CommandError (`invalid_payload`).
        """
        try:
            model = self.arguments.model_validate(dict(args))
        except ValidationError as error:
            task = short_task_name(self.name)
            raise CommandError("invalid_payload", f"args of {task}: {sentence(error)}") from None
        named = isinstance(model, _SignatureModel)
        return model.model_dump(mode="json", exclude_unset=True, by_alias=named)


@record
class HeldTask:
    """A task taken by a worker; without `running_since` it waits there, for example for a retry."""

    worker: str
    running_since: datetime | None


class TaskRegistry:
    """The tasks that may be run by name: marked ones, and those of the configured modules."""

    def __init__(self) -> None:
        self._marked: list[tuple[CeleryTask, Arguments]] = []
        self._listed: Callable[[], Iterable[CeleryTask]] = tuple
        self._all_over_mqtt = False
        self._described: dict[str, SchedulableTask | str] = {}

    def mark(self, task: CeleryTask, arguments: Arguments) -> None:
        """Add a task with the model of its arguments, or exclude it."""
        # A shared task is a proxy: accessing it makes Celery read the configuration, which merely
        # importing a module with tasks must not require.
        self._marked.append((task, arguments))

    def add_listed(self, tasks: Callable[[], Iterable[CeleryTask]], *, over_mqtt: bool) -> None:
        """Add the tasks of the configured modules, for MQTT only if `over_mqtt`."""
        self._listed, self._all_over_mqtt = tasks, over_mqtt
        self._described.clear()

    def get(self, name: str, source: Source = "cli") -> SchedulableTask:
        """Return a task by its long or short name, for a command from `source`.

        Raises CommandError (`unknown_task`) with the reason.
        """
        found = self._look().get(long_task_name(name))
        if isinstance(found, SchedulableTask) and _reaches(source, found):
            return found
        raise CommandError("unknown_task", self._refusal(name, found, source))

    def all(self, source: Source = "cli") -> list[SchedulableTask]:
        """Return the tasks that a command from `source` may run, sorted by name."""
        found = sorted(self._look().items())
        return [
            one for _, one in found if isinstance(one, SchedulableTask) and _reaches(source, one)
        ]

    def is_out_of_reach(self, name: str) -> bool:
        """Whether a task is excluded from being run by name."""
        return any(given is False and task.name == name for task, given in self._marked)

    def problems(self) -> list[str]:
        """Return a sentence for each task of a configured module that can't be run by name."""
        found = sorted(self._look().items())
        return [f"{name} {problem}" for name, problem in found if isinstance(problem, str)]

    def _look(self) -> dict[str, SchedulableTask | str]:
        """Return each task by its name, or why it can't be run."""
        marks = {task.name: (task, arguments) for task, arguments in self._marked}
        listed: dict[str, tuple[CeleryTask, Arguments]] = {
            task.name: (task, None) for task in self._listed()
        }
        for name, (task, arguments) in (listed | marks).items():
            if arguments is not False and name not in self._described:
                over_mqtt = name in marks or self._all_over_mqtt
                self._described[name] = _described(task, arguments, over_mqtt=over_mqtt)
        return self._described

    def _refusal(self, name: str, found: SchedulableTask | str | None, source: Source) -> str:
        if isinstance(found, str):
            return f"{name} {found}"
        if found is not None:
            return (
                f"{name} can't be named over MQTT: mark it with @schedulable(), or set "
                "over_mqtt = true in [tasks]"
            )
        known = [short_task_name(task.name) for task in self.all(source)]
        return f"there is no schedulable task {name!r}; {hint(name, known)}"


def _reaches(source: Source, task: SchedulableTask) -> bool:
    return task.over_mqtt or source != "mqtt"


def _described(
    task: CeleryTask, arguments: type[BaseModel] | None, *, over_mqtt: bool
) -> SchedulableTask | str:
    if long_task_name(task.name) != task.name:
        return "can't be run by name: only built-in tasks have a name without a dot"
    try:
        model = arguments or model_of(task.run)
    except SignatureError as error:
        return f"can't be run by name: {error}; give it a model, @schedulable(Model)"
    description = (inspect.getdoc(task) or "").partition("\n")[0]
    return SchedulableTask(task.name, description, model, over_mqtt)


registry = TaskRegistry()


def schedulable(arguments: Arguments = None) -> Callable[[Task], Task]:
    """Allow a Celery task to be scheduled and run by name, also over MQTT.

    Its arguments are validated before a worker gets them: by `arguments`, the pydantic model of its
    keyword arguments, else by its signature. False excludes a task of a configured module. Put this
    decorator above `@shared_task`.
    """
    # Types are compared directly: isinstance would evaluate a task that is still a proxy.
    if not (arguments is None or arguments is False or issubclass(type(arguments), type)):
        raise TypeError("write @schedulable() or @schedulable(Model), with parentheses")

    def mark(task: Task) -> Task:
        if issubclass(type(task), FunctionType):
            raise TypeError("put @schedulable above @shared_task")
        registry.mark(task, arguments)
        return task

    return mark


class SignatureError(ValueError):
    """Arguments can't be validated against a signature; the text says why."""


class _SignatureModel(BaseModel):
    """The arguments of a function by their names, as aliases.

    Unlike an argument, a field can't be called `_x` or `json`.
    """

    model_config = ConfigDict(extra="forbid")


def model_of(function: Callable[..., object]) -> type[BaseModel]:
    """Return a model of the keyword arguments of a function. Raises SignatureError.

    An argument without annotation accepts any JSON value. `self` of a bound method is left out.
    """
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except Exception as error:  # noqa: BLE001 - an annotation is evaluated, and may be anything
        raise SignatureError(f"its annotations can't be read ({error})") from None
    fields = {
        f"argument_{number}": _field(parameter) for number, parameter in enumerate(parameters)
    }
    try:
        model = create_model("Arguments", __base__=_SignatureModel, **fields)
        model.model_json_schema()
    except Exception as error:  # noqa: BLE001 - pydantic's, and those of types with own schemas
        reason = str(error).partition("\n")[0]
        raise SignatureError(f"JSON can't be checked against its annotations ({reason})") from None
    return model


def _field(parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - what create_model takes
    if parameter.kind in _UNNAMED:
        raise SignatureError(f"it takes {_UNNAMED[parameter.kind].format(parameter.name)}")
    kind = Any if parameter.annotation is parameter.empty else parameter.annotation
    return kind, Field(alias=parameter.name, **_default(parameter.default))


def _default(value: object) -> dict[str, Any]:
    """Return the declaration of a default; one that is not JSON can't be part of a schema."""
    if value is inspect.Parameter.empty:
        return {}
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return {"default_factory": lambda: value}
    return {"default": value}
