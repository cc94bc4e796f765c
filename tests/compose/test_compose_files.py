"""What every service of the compose files has to keep to."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from compose_spec import PyCompose
from support.compose import FILES, ROOT, load, text_of, variables

SERVICES: dict[str, dict[str, Any]] = load("docker-compose.yml")["services"]
ONCE = {"setup", "migrate"}
ROOTS = {"setup": ["CHOWN", "DAC_READ_SEARCH"]}
# Who listens where: the broker for Home Assistant, page and Flower for this machine.
PORTS = {
    "mosquitto": ["0.0.0.0:1883:1883"],
    "web": ["127.0.0.1:8155:8155"],
    "flower": ["127.0.0.1:5555:5555"],
}
SECRET = re.compile(r"password|secret|token|key", re.IGNORECASE)

every = pytest.mark.parametrize("name", sorted(SERVICES))


@pytest.mark.parametrize("file", FILES)
def test_the_compose_specification_allows_it(file: str) -> None:
    PyCompose.from_json(json.dumps(load(file)))


def test_all_roles_have_a_service() -> None:
    wanted = {"redis", "mosquitto", "worker", "beat", "bridge", "web", "flower"}
    wanted |= {"meters", "postgres"}
    assert set(SERVICES) == wanted | ONCE
    assert SERVICES["meters"]["profiles"] == ["demo"]
    assert SERVICES["postgres"]["profiles"] == ["postgres"]
    assert not [name for name, one in SERVICES.items() if "container_name" in one]


def test_what_the_upgrade_proposes_needs_no_worker_that_runs() -> None:
    said = {
        name: one.get("environment", {}).get("ESQUIRELL_PROGRAM") for name, one in SERVICES.items()
    }
    assert said["migrate"] == "docker compose run --rm --no-deps worker"
    assert said["worker"] == said["web"] == "docker compose exec worker esquirell"


@every
def test_a_service_can_do_no_more_than_it_has_to(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == ROOTS.get(name, [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "devices", "pid", "ipc", "userns_mode"} & service.keys()
    assert service["user"].startswith("0:") == (name in ROOTS)
    assert not [one for one in service["volumes"] if "docker.sock" in one]


@every
def test_services_restart_and_have_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)
    assert name in ONCE or {"mem_limit", "pids_limit"} <= service.keys()
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@every
def test_no_port_is_open_beyond_need(name: str) -> None:
    service = SERVICES[name]
    assert service.get("ports", []) == PORTS.get(name, [])
    assert service.get("network_mode") == ("none" if name == "setup" else None)
    if name in {"redis", "postgres", "migrate", "meters"}:
        assert service["networks"] == ["internal"]


@every
def test_no_secret_is_in_the_environment_or_a_command(name: str) -> None:
    service = SERVICES[name]
    for variable in service.get("environment", {}):
        assert variable.endswith("_FILE") or not SECRET.search(variable)
    assert not SECRET.search(json.dumps(service.get("command", "")))


@every
def test_a_service_waits_for_what_it_needs(name: str) -> None:
    depends = SERVICES[name].get("depends_on", {})
    for other, how in depends.items():
        done = "service_completed_successfully"
        assert how["condition"] == (done if other in ONCE else "service_healthy")
        if "profiles" in SERVICES[other]:
            assert how["required"] is False
    if name in {"worker", "beat", "bridge", "web", "flower"}:
        assert {"migrate", "redis"} <= depends.keys()


def test_the_inner_network_has_no_way_out() -> None:
    assert load("docker-compose.yml")["networks"]["internal"] == {"internal": True}


def test_everything_that_is_kept_is_in_a_named_volume() -> None:
    volumes = load("docker-compose.yml")["volumes"]
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in volumes or source.startswith("./")


def test_the_example_of_env_has_every_variable_and_no_other() -> None:
    example = text_of(".env.example")
    named = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    assert named - {"COMPOSE_PROFILES"} == variables(text_of("docker-compose.yml"))
    assert not SECRET.search(" ".join(named))


@pytest.mark.parametrize(
    "files",
    [
        ["docker-compose.yml"],
        ["docker-compose.yml", "compose.host.yml"],
        ["docker-compose.yml", "compose.shared.yml"],
        ["compose.worker.yml"],
    ],
)
def test_the_command_line_of_docker_accepts_it(files: list[str]) -> None:
    if shutil.which("docker") is None:
        pytest.skip("there is no docker here")
    named = [word for file in files for word in ("-f", file)]
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/nonexistent"}
    environment |= {"SHARED_ADDRESS": "10.8.0.1", "HUB": "10.8.0.1", "QUEUE": "garage"}
    profiles = ["--profile", "demo", "--profile", "postgres", "--env-file", ".env.example"]
    command = ["docker", "compose", *named, *profiles, "config", "--quiet"]
    checked = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if "is not a docker command" in checked.stderr or "unknown" in checked.stderr:
        pytest.skip("docker has no compose here")
    assert checked.returncode == 0, checked.stderr
