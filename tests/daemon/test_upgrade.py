"""A house of an earlier release: its database, configuration and retained topics go on."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import paho.mqtt.publish
import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import retained
from support.redis_server import RedisProcess
from support.service import KEY, Service
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

HOUSE = Path(__file__).parents[1] / "fixtures" / "upgrade" / "0.1.0"
MAIN = {"101": 2361, "103": 1400, "111": 2358, "121": 2364, "131": 106500, "132": 130, "133": 2330}
FRIDGE = {"1": True, "18": 410, "19": 903, "20": 2312}
# What this house had stored, and what its main meter had counted when it was upgraded.
READINGS = 402
FIRST_KWH = 1050.05


@pytest.fixture
def meters() -> Iterator[dict[str, SimulatedMeter]]:
    made = {
        "16668": SimulatedMeter("bf0123456789abcdefghij", KEY, "3.4", lambda: MAIN),
        "16669": SimulatedMeter("bf9876543210abcdefghij", KEY, "3.3", lambda: FRIDGE),
    }
    for meter in made.values():
        meter.start()
    yield made
    for meter in made.values():
        meter.stop()


@pytest.fixture
def service(
    tmp_path: Path,
    broker: Mosquitto,
    server: RedisProcess,
    meters: Mapping[str, SimulatedMeter],
) -> Iterator[Service]:
    """The house as it was, upgraded to the present release, which is running."""
    config = (HOUSE / "esquirell.toml").read_text().replace("18831", str(broker.port))
    config = config.replace('"embedded"', f'"{server.url}"')
    for port, meter in meters.items():
        config = config.replace(port, str(meter.port))
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "esquirell.db").write_bytes(gzip.decompress((HOUSE / "esquirell.db.gz").read_bytes()))
    (data / "esquirell.db").chmod(0o600)
    paho.mqtt.publish.multiple(
        [(topic, json.dumps(payload), 1, True) for topic, payload in old_topics().items()],
        port=broker.port,
    )
    service = Service(tmp_path, config)
    service.start()
    eventually(lambda: service.readings("main") > READINGS - 100, what=lambda: service.log)
    yield service
    service.kill()


def old_topics() -> dict[str, Any]:
    topics: dict[str, Any] = json.loads((HOUSE / "retained.json").read_text())
    return topics


def kept(topics: Mapping[str, Any]) -> dict[str, tuple[str | None, ...]]:
    """Return of all sensors that Home Assistant keeps statistics of what these hang on, by id."""
    configs = [one for topic, one in topics.items() if topic.startswith("homeassistant/")]
    matters = ("device_class", "state_class", "unit_of_measurement")
    return {
        component["unique_id"]: tuple(component.get(name) for name in matters)
        for config in configs
        for component in config["components"].values()
        if component.get("state_class")
    }


def ask(service: Service, *arguments: str) -> Any:  # noqa: ANN401 - JSON is anything
    command = [sys.executable, "-m", "esquirell", "--config", str(service.config), "--json"]
    done = subprocess.run([*command, *arguments], capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_an_installation_of_0_1_0_continues(service: Service, broker: Mosquitto) -> None:
    eventually(
        lambda: len(service.rows("SELECT 1 FROM reading")) >= READINGS + 4,
        what=lambda: service.log,
    )
    assert not re.search("Traceback|ERROR", service.log)
    assert re.search(
        r"is up to date; as it was before: \S+/esquirell\.db\.before-\d{4}$",
        service.log,
        re.MULTILINE,
    )

    # What was changed at run time is still changed; what was added is still there.
    schedules = {one["name"]: one for one in ask(service, "schedule", "list")}
    assert schedules["fetch"]["every"] == 10
    assert schedules["night"]["cron"] == "*/5 22-23 * * *"

    # The counter goes on, and the days add up to what it moved since its first reading.
    topics = {topic: json.loads(text) for topic, text in retained(broker.port).items()}
    published = topics["esquirell/meter/main/state"]["energy_import"]
    assert published == 1065.0
    days = ask(service, "readings", "main", "--since", "2026-11-20", "--resolution", "day")
    used = sum(day["energy_import"] or 0 for day in days)
    assert used == pytest.approx(published - FIRST_KWH, abs=1e-5)

    # Statistics of Home Assistant go on; nothing of the release before is left over.
    assert kept(old_topics()).items() <= kept(topics).items()
    bridge = topics["esquirell/bridge/info"]["version"]
    for topic, config in topics.items():
        if topic.startswith("homeassistant/"):
            assert config["origin"]["sw_version"] == bridge
    assert set(old_topics()) - set(topics) <= {"homeassistant/device/esquirell/config"}
