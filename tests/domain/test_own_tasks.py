"""Which tasks may be scheduled and run by name, and from where."""

from collections.abc import Callable

import pytest
from pydantic import BaseModel

from esquirell.domain.errors import CommandError
from esquirell.domain.tasks import Arguments, TaskRegistry, schedulable


class Task:
    """Do something.

    In detail.
    """

    def __init__(self, name: str, run: Callable[..., object]) -> None:
        self.name = name
        self.run = run


class Model(BaseModel):
    numbers: list[int]


def heat(degrees: float, room: str = "hall") -> None: ...


def several(*numbers: int) -> None: ...


@pytest.fixture
def tasks() -> TaskRegistry:
    """Marked are `m.heat`, `m.several` with a model and `m.secret` as out of reach."""
    registry = TaskRegistry()
    marked: dict[str, tuple[Callable[..., object], Arguments]] = {
        "m.heat": (heat, None),
        "m.several": (several, Model),
        "m.secret": (heat, False),
    }
    everything = {name: Task(name, run) for name, (run, _) in marked.items()}
    for name, (_, arguments) in marked.items():
        registry.mark(everything[name], arguments)
    plain = [Task("m.plain", heat), Task("m.loose", several), Task("heat", heat)]
    registry.add_listed(lambda: [*everything.values(), *plain], over_mqtt=False)
    return registry


def names(tasks: TaskRegistry, source: str) -> list[str]:
    return [task.name for task in tasks.all(source)]  # type: ignore[arg-type]


@pytest.mark.parametrize("source", ["cli", "web", "api"])
def test_all_tasks_of_a_listed_module_can_be_run_except_private_ones(
    tasks: TaskRegistry, source: str
) -> None:
    assert names(tasks, source) == ["m.heat", "m.plain", "m.several"]
    with pytest.raises(CommandError, match=r"no schedulable task 'm\.secret'"):
        tasks.get("m.secret")


def test_over_mqtt_only_marked_ones_can(tasks: TaskRegistry) -> None:
    assert names(tasks, "mqtt") == ["m.heat", "m.several"]
    with pytest.raises(CommandError, match="over_mqtt = true") as caught:
        tasks.get("m.plain", "mqtt")
    assert caught.value.code == "unknown_task"
    with pytest.raises(CommandError) as unknown:
        tasks.get("m.nothing", "mqtt")
    assert "m.plain" not in str(unknown.value)


def test_over_mqtt_all_can_if_that_is_wanted() -> None:
    tasks = TaskRegistry()
    tasks.mark(Task("m.secret", heat), arguments=False)
    tasks.add_listed(lambda: [Task("m.secret", heat), Task("m.plain", heat)], over_mqtt=True)
    assert names(tasks, "mqtt") == ["m.plain"]


def test_a_task_that_needs_a_model_is_refused_without_one(tasks: TaskRegistry) -> None:
    with pytest.raises(CommandError, match=r"it takes \*numbers; give it a model"):
        tasks.get("m.loose")
    assert len(tasks.problems()) == len(["m.loose", "heat"])


def test_a_name_without_a_dot_is_that_of_a_built_in_task(tasks: TaskRegistry) -> None:
    assert [one for one in tasks.problems() if one.startswith("heat can't be run by name")]


def test_arguments_are_checked_against_signature_or_model(tasks: TaskRegistry) -> None:
    for name in ("m.heat", "m.plain"):
        assert tasks.get(name).check({"degrees": 21}) == {"degrees": 21.0}
        with pytest.raises(CommandError, match=rf"args of {name}: degrees"):
            tasks.get(name).check({"degrees": "warm"})
    assert tasks.get("m.several").check({"numbers": [1]}) == {"numbers": [1]}
    with pytest.raises(CommandError, match=r"args of m\.several: numbers"):
        tasks.get("m.several").check({})


def test_the_list_shows_the_first_line_and_the_schema(tasks: TaskRegistry) -> None:
    shown = tasks.get("m.plain").payload()
    assert shown["description"] == "Do something."
    assert shown["args"]["required"] == ["degrees"]


def test_a_mark_in_the_wrong_place_is_reported() -> None:
    with pytest.raises(TypeError, match="above @shared_task"):
        schedulable()(heat)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="with parentheses"):
        schedulable(Task("m.heat", heat))  # type: ignore[arg-type]
