"""The whole stack in real containers: `make docker`. Needs a Docker engine, and some minutes."""

import json
import re
from collections.abc import Iterator
from functools import partial
from urllib.error import HTTPError

import pytest
from support.compose_stack import UP_S, Stack, needs_docker
from support.waiting import eventually

ROLES = ("worker", "beat", "bridge", "web", "flower", "redis", "mosquitto", "meters")

pytestmark = needs_docker


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = Stack(COMPOSE_PROFILES="demo")
    stack.build()
    with stack.up():
        yield stack


def test_every_service_is_healthy_and_readings_arrive(stack: Stack) -> None:
    for role in ROLES:
        eventually(partial(stack.healthy, role), UP_S, role)
    assert stack.goes_on()


def test_the_broker_delivers_readings_with_the_password_only(stack: Stack) -> None:
    topic = "esquirell/meter/house/state"
    words = ["mosquitto_sub", "-t", topic, "-C", "1", "-W", "20"]
    assert "voltage_a" in json.loads(stack.inside("mosquitto", *words))


def test_flower_shows_tasks_with_the_password_only(stack: Stack) -> None:
    shown = stack.compose("run", "--rm", "setup", "show")
    password = re.findall("^Flower, .*, user esquirell: (.+)$", shown, re.MULTILINE)[0]
    tasks = eventually(lambda: stack.flower("/api/tasks?state=SUCCESS", password), 60)
    assert {task["name"] for task in tasks.values()} == {
        "esquirell.tasks.fetch_and_save_energy_data"
    }
    with pytest.raises(HTTPError, match="401"):
        stack.flower("/api/tasks", "wrong")


def test_containers_have_no_capabilities_and_read_only_file_systems(stack: Stack) -> None:
    for role in ROLES:
        assert stack.inspect(stack.containers(role)[0], "{{.HostConfig.ReadonlyRootfs}}") == "true"
        status = stack.inside(role, "cat", "/proc/self/status")
        assert re.search(r"CapEff:\s+0+$", status, re.MULTILINE)
        assert re.search(r"CapBnd:\s+0+$", status, re.MULTILINE)
        assert re.search(r"NoNewPrivs:\s+1$", status, re.MULTILINE)
        assert not re.search(r"Uid:\s+0\s", status)


def test_no_password_can_be_seen_from_outside(stack: Stack) -> None:
    names = ("redis__password", "mqtt__password", "database__password", "flower__password")
    secrets = [stack.inside("worker", "cat", f"/run/secrets/{name}") for name in names]
    seen = stack.compose("logs") + stack.compose("config")
    for container in stack.containers("", "--all"):
        seen += stack.docker("inspect", container)
    for container in stack.containers():
        seen += stack.docker("top", container)
    assert not [secret for secret in secrets if secret in seen]


@pytest.mark.parametrize("service", ROLES)
def test_a_killed_service_is_restarted(stack: Stack, service: str) -> None:
    started = "{{.State.StartedAt}}"
    container = stack.containers(service)[0]
    before = stack.inspect(container, started)
    pid = stack.inspect(container, "{{.State.Pid}}")
    # Docker counts its own kill as a stop, and does not start the container again.
    stack.docker(
        *("run", "--rm", "--pid=host", "--user=0:0", "--cap-add=KILL", "--entrypoint=python3"),
        *("esquirell:latest", "-c", f"import os; os.kill({pid}, 9)"),
    )
    eventually(lambda: stack.inspect(container, started) != before, 60)
    eventually(lambda: stack.healthy(service), UP_S, service)


def test_readings_go_on_after_a_restart_of_redis(stack: Stack) -> None:
    stack.compose("restart", "redis")
    assert stack.goes_on()


def test_more_workers_share_the_work(stack: Stack) -> None:
    stack.compose("up", "--detach", "--scale", "worker=3")
    eventually(lambda: stack.healthy("worker", 3), UP_S)
    assert stack.goes_on()
