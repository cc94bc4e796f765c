"""What a power cut may leave of each file of the state directory: the service starts, and works."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.cli import esquirell
from support.mosquitto import Mosquitto
from support.mqtt_observer import retained
from support.ports import free_port
from support.service import Service, meter_table, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

START_S = 120.0
SECRETS = ("web-key", "web-password")
FILES = (
    "instance",
    "mqtt.json",
    *SECRETS,
    "web-tokens.json",
    "web-ended-sessions.json",
    "spool.db",
    "meters/garage.toml",
)
LEFT: dict[str, Callable[[int], bytes]] = {
    "emptied": lambda _: b"",
    "zeros": bytes,
    "other bytes": lambda size: (bytes(range(128, 256)) * (size // 128 + 1))[:size],
}


def damage(file: Path, left: Callable[[int], bytes]) -> None:
    file.parent.mkdir(exist_ok=True)
    size = file.stat().st_size if file.exists() else 512
    file.write_bytes(left(max(size, 64)))
    file.chmod(0o600)


def answers(port: int, path: str, **headers: str) -> int:
    """Return how the page answers, 0 if it does not."""
    try:
        return int(urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=headers)).status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.parametrize("kind", LEFT)
def test_the_service_starts_and_loses_nothing(
    kind: str,
    start: Callable[..., Service],
    config: str,
    broker: Mosquitto,
    device: SimulatedMeter,
    tmp_path: Path,
) -> None:
    garage, port = simulated("garage"), free_port()
    config = config.replace("web.port = 0", f"web.port = {port}")
    service = start(config)
    eventually(lambda: service.readings() > 1, START_S, lambda: service.log)
    table = meter_table("garage", garage.port).removeprefix("[[meters]]\n")
    data = tmp_path / "data"
    (data / "meters").mkdir(mode=0o700)
    (data / "meters" / "garage.toml").write_text(table)
    eventually(lambda: service.readings("garage") > 1, START_S, lambda: service.log)
    announced = "homeassistant/device/esquirell_garage/config"
    eventually(lambda: announced in retained(broker.port), START_S, lambda: service.log)
    assert esquirell("--config", str(service.config), "web", "password").code == 0
    assert service.stop() == 0
    before = service.readings()

    for name in FILES:
        damage(data / name, LEFT[kind])
    service.start()
    eventually(lambda: service.readings() > before + 1, START_S, lambda: service.log)
    eventually(lambda: answers(port, "/login") == 200, START_S, lambda: service.log)
    bearer = {"Authorization": "Bearer esq_none"}
    assert answers(port, "/api/v1/meters", **bearer) == 401
    assert "Traceback" not in service.log
    assert esquirell("--config", str(service.config), "web", "password").code == 0
    # A secret of zeros would be known to everybody.
    for name in SECRETS:
        assert (data / name).read_text().strip().isprintable()
        assert len((data / name).read_text()) > 10

    def names(file: Path, command: str, code: int) -> bool:
        said = esquirell("--config", str(service.config), *command.split())
        return said.code == code and str(file) in said.out + said.err

    file = data / "meters" / "garage.toml"
    eventually(lambda: names(file, "health", 1), START_S, lambda: service.log)
    assert names(file, "config check", 2)
    assert names(file, "doctor", 1)
    assert announced in retained(broker.port)
    eventually(
        lambda: (
            json.loads(retained(broker.port)["esquirell/meter/garage/availability"])["state"]
            == "offline"
        )
    )

    kept = service.readings("garage")
    file.write_text(table)
    eventually(lambda: service.readings("garage") > kept, START_S, lambda: service.log)
    eventually(lambda: esquirell("--config", str(service.config), "health").code == 0, START_S)
    assert service.stop() == 0
    assert service.readings() == device.answers
    garage.stop()
