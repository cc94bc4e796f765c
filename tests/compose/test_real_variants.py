"""What the other compose files add, in real containers: a worker elsewhere, or on the host.

The ports 1883, 5432 and 6379 have to be free on the address of the engine's network, and 1883 on
loopback.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.compose import FILES, ROOT
from support.compose_stack import Stack, needs_docker
from support.service import DPS, KEY, meter_table
from support.tuya_broadcasts import Broadcaster
from support.waiting import eventually

from esquirell.tuya.discovery.listener import Ports
from esquirell.tuya.simulator import SimulatedMeter

MAIN = "docker-compose.yml"
EVERY_S = 2
# Who the containers run as.
OWNER = 1000

pytestmark = needs_docker


@pytest.fixture(scope="module")
def gateway() -> str:
    """The address of this machine on the engine's own network."""
    stack = Stack()
    stack.build()
    found = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    return stack.docker("network", "inspect", "bridge", "--format", found).strip()


@pytest.fixture
def meters(gateway: str) -> Iterator[list[SimulatedMeter]]:
    """Two meters that containers reach."""
    meters = [SimulatedMeter(f"id-{name}", KEY, "3.4", lambda: DPS, gateway) for name in "ab"]
    for meter in meters:
        meter.start()
    yield meters
    for meter in meters:
        meter.stop()


def clone(folder: Path, *tables: str) -> Path:
    """Copy what compose needs, with a configuration of these meters."""
    folder.mkdir()
    for name in (".env.example", *FILES):
        shutil.copy(ROOT / name, folder)
    for name in ("config", "docker", "secrets"):
        shutil.copytree(ROOT / name, folder / name)
    schedule = f'[[schedules]]\nname = "fetch"\nevery = {EVERY_S}'
    configuration = folder / "config" / "esquirell.toml"
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join([*tables, schedule]))
    shutil.chown(configuration, OWNER, OWNER)
    return folder


def table(name: str, meter: SimulatedMeter, address: str, *lines: str) -> str:
    text = meter_table(name, meter.port).replace("127.0.0.1", address)
    return "\n".join([text, *lines])


def test_a_worker_on_another_machine_survives_a_database_outage(
    tmp_path: Path, gateway: str, meters: list[SimulatedMeter]
) -> None:
    tables = [
        table("a", meters[0], gateway),
        table("b", meters[1], gateway, 'queue = "garage"'),
    ]
    hub = Stack(
        MAIN,
        "compose.shared.yml",
        folder=clone(tmp_path / "hub", *tables),
        SHARED_ADDRESS=gateway,
        COMPOSE_PROFILES="postgres",
        DATABASE_URL="postgresql+psycopg://esquirell@postgres/esquirell",
        MQTT_PUBLISH=f"{gateway}:1883",
    )
    far = Stack(
        "compose.worker.yml",
        folder=clone(tmp_path / "far", *tables),
        project="esquirell-test-far",
        QUEUE="garage",
        HUB=gateway,
    )
    with hub.up():
        assert hub.goes_on("a")
        for name in ("redis__password", "database__password", "mqtt__password"):
            secret = hub.inside("worker", "cat", f"/run/secrets/{name}")
            (tmp_path / "far" / "secrets" / name).write_text(secret)
        with far.up():
            assert hub.goes_on("b")
            assert far.healthy("worker")
            _nothing_is_lost_while_the_database_is_away(hub)


def _nothing_is_lost_while_the_database_is_away(hub: Stack) -> None:
    hub.compose("stop", "postgres")
    gone = datetime.now(UTC)
    eventually(lambda: "readings wait for the database" in hub.compose("logs", "worker"), 60)
    back = datetime.now(UTC)
    hub.compose("start", "postgres")
    expected = int((back - gone).total_seconds() / EVERY_S) - 1
    for meter in ("a", "b"):
        assert hub.goes_on(meter)
        eventually(lambda one=meter: hub.readings(one, gone, back) >= expected, 60, meter)  # type: ignore[misc] # mypy infers no lambda with a default


def test_a_worker_on_the_network_of_the_host_finds_its_meter(
    tmp_path: Path, gateway: str, meters: list[SimulatedMeter]
) -> None:
    folder = clone(tmp_path / "host", table("a", meters[0], "auto"))
    stack = Stack(MAIN, "compose.host.yml", folder=folder, MQTT_PUBLISH="127.0.0.1:1883")
    with Broadcaster(Ports(), "id-a", "3.4", address=gateway), stack.up():
        assert stack.goes_on("a")
        assert "id-a" in stack.compose("run", "--rm", "worker", "scan")
        open_ports = stack.inspect(stack.containers("redis")[0], "{{.HostConfig.PortBindings}}")
        assert open_ports == "map[]"
