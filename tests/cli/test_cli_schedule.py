import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import esquirell, esquirell_process
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.waiting import eventually

TASKS = '''
"""A user's own tasks."""

from celery import shared_task
from pydantic import BaseModel

from esquirell.tasks import schedulable


class Heat(BaseModel):
    degrees: float


@schedulable(Heat)
@shared_task
def heat(degrees):
    """Heat the house."""
    return {"heated_to": degrees}


@schedulable(False)
@shared_task
def secret():
    """Not to be reached from outside."""
'''


@pytest.fixture
def home(tmp_path: Path) -> Callable[..., list[str]]:
    """Write a configuration with a user's own tasks; return the arguments that name it."""
    (tmp_path / "my_house_tasks.py").write_text(TASKS)

    def write(
        redis_url: str = "redis://127.0.0.1:1/0", mqtt_port: int = 1, meter: int = 1
    ) -> list[str]:
        text = configuration(
            [meter_table("main", meter)], mqtt_port=mqtt_port, redis_url=redis_url, every=60
        )
        (tmp_path / "esquirell.toml").write_text(
            f'tasks.modules = ["my_house_tasks", "no.such_module"]\n{text}'
        )
        (tmp_path / "esquirell.toml").chmod(0o600)
        return ["--config", str(tmp_path / "esquirell.toml"), "--json"]

    return write


def test_the_list_warns_when_no_scheduler_runs(
    home: Callable[..., list[str]], server: RedisProcess
) -> None:
    config = home(server.url)[:2]
    said = esquirell("schedule", "list", *config)
    assert said.code == 0
    assert "no scheduler is alive, so nothing runs at these times" in said.err
    server.client.set("esquirell:role:beat:somewhere", "2026-11-22T10:15:00Z", ex=20)
    assert "nothing runs" not in esquirell("schedule", "list", *config).err
    server.stop()
    assert "nothing runs at these times: Redis does not answer" in (
        esquirell("schedule", "list", *config).err
    )


def test_without_a_service_an_embedded_redis_is_no_fault(home: Callable[..., list[str]]) -> None:
    said = esquirell("schedule", "list", *home("embedded")[:2])
    assert said.err.endswith("warning: nothing runs at these times: start esquirell run\n")


def test_a_list_is_printed_without_celery(home: Callable[..., list[str]]) -> None:
    """It takes longer to load than all else that the command does."""
    options = home()
    first = esquirell("schedule", "list", *options).json
    program = f"""
import sys
from esquirell.cli.errors import run
assert run({["schedule", "list", *options]}) == 0
assert not {{"celery", "kombu", "redbeat", "tenacity"}} & set(sys.modules)
"""
    listed = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.PIPE
    )
    (again,) = json.loads(listed.stdout)
    assert again | {"next_run_at": ""} == first[0] | {"next_run_at": ""}


def test_schedules_without_a_service(home: Callable[..., list[str]]) -> None:
    options = home()
    (listed,) = esquirell("schedule", "list", *options).json
    assert (listed["name"], listed["every"], listed["origin"]) == ("fetch", 60, "config")
    added = esquirell("schedule", "add", "night", "--cron", "0 3 * * *", *options).json
    assert added["cron"] == "0 3 * * *"
    changed = esquirell(
        "schedule", "set", "fetch", "--every", "2m", "--meter", "main", *options
    ).json
    assert (changed["every"], changed["meters"], changed["origin"]) == (120, ["main"], "user")
    assert esquirell("schedule", "set", "fetch", "--all-meters", *options).json["meters"] is None
    assert not esquirell("schedule", "disable", "fetch", *options).json["enabled"]
    assert esquirell("schedule", "enable", "fetch", *options).json["enabled"]
    assert esquirell("schedule", "reset", "fetch", *options).json["every"] == 60
    assert esquirell("schedule", "remove", "night", *options).json == {"name": "night"}
    logged = esquirell("log", *options).json
    assert [one["command"] for one in logged][:2] == ["schedule/add", "schedule/set"]
    assert {one["outcome"] for one in logged} == {"ok"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["schedule", "add", "fetch", "--every", "5"], 1, "already"),
        (
            ["schedule", "add", "x", "--every", "5", "--task", "my_house_tasks.secret"],
            2,
            "no schedulable",
        ),
        (["schedule", "add", "x", "--every", "5", "--meter", "attic"], 2, "attic"),
        (["schedule", "set", "nosuch", "--every", "5"], 2, "nosuch"),
        (["schedule", "set", "ftech", "--every", "5"], 2, "did you mean 'fetch'?"),
        (["schedule", "add", "x", "--every", "5", "--task", "rolup"], 2, "did you mean 'rollup'?"),
        (["schedule", "run", "fetch"], 1, "no service is running"),
        (["tasks", "run", "heat"], 1, "no service is running"),
    ],
)
def test_a_wrong_value_is_named(
    home: Callable[..., list[str]], arguments: list[str], code: int, says: str
) -> None:
    said = esquirell(*arguments, *home())
    assert said.code == code
    assert says in said.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["schedule", "add", "x"], "either every"),
        (["schedule", "add", "x", "--cron", "never"], "five"),
        (["schedule", "set", "fetch", "--every", "0"], "must be at least 1"),
    ],
)
def test_impossible_changes_are_usage_errors(
    home: Callable[..., list[str]], arguments: list[str], says: str
) -> None:
    said = esquirell(*arguments, *home())
    assert said.code == 2
    assert says in said.err.splitlines()[-1]


@pytest.mark.parametrize("args", ["degrees", '{"x": NaN}', '{"x": 1e999}', '{"x": "\\ud800"}'])
def test_arguments_must_be_json(home: Callable[..., list[str]], args: str) -> None:
    """What is recorded is shown later: a log that holds NaN could not be."""
    said = esquirell("schedule", "set", "fetch", "--args", args, *home())
    assert said.code == 2
    assert "JSON object" in said.err


def test_own_tasks_are_listed_and_a_faulty_module_is_reported(
    home: Callable[..., list[str]],
) -> None:
    # In a process of its own: Celery's app takes its modules from the first configuration it sees.
    command = [sys.executable, "-m", "esquirell", "tasks", "list", *home()]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    tasks = {task["name"]: task for task in json.loads(said.stdout)}
    assert tasks["my_house_tasks.heat"]["description"] == "Heat the house."
    assert tasks["my_house_tasks.heat"]["args"]["required"] == ["degrees"]
    assert "my_house_tasks.secret" not in tasks
    assert "no.such_module" in said.stderr


def test_tasks_run_through_the_service(home: Callable[..., list[str]], tmp_path: Path) -> None:
    broker, server, device = Mosquitto(tmp_path), RedisProcess(tmp_path), simulated()
    broker.start()
    server.start()
    options = home(server.url, broker.port, device.port)
    service = Service(tmp_path, (tmp_path / "esquirell.toml").read_text())
    service.start()
    try:
        eventually(lambda: service.readings() > 0, what=lambda: service.log)
        ran = esquirell_process(
            "tasks", "run", "my_house_tasks.heat", "--args", '{"degrees": 21}', *options
        )
        assert ran.json["result"] == {"heated_to": 21.0}
        ran = esquirell_process("schedule", "run", "fetch", *options)
        assert ran.json["result"]["meters"]["main"]["status"] == "ok"
        esquirell_process("schedule", "set", "fetch", "--every", "1", *options)
        before = service.readings()
        eventually(lambda: service.readings() > before)
        assert "no.such_module" in service.log
        added = esquirell_process(
            *("schedule", "add", "warm", "--every", "1", "--task", "my_house_tasks.heat"),
            *("--args", json.dumps({"degrees": 20}), *options),
        )
        assert added.code == 0, added.err
        eventually(lambda: _last_result(options) == "ok")
    finally:
        service.kill()
        device.stop()
        server.stop()
        broker.stop()


def _last_result(options: list[str]) -> str | None:
    states = {one["name"]: one for one in esquirell_process("schedule", "list", *options).json}
    result = states["warm"]["last_result"]
    return str(result) if result else None
