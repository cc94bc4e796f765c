"""What people see of a house in a real Home Assistant that speaks German, and what goes again.

HOME_ASSISTANT names the programs that run it, see support/home_assistant.py.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.home_assistant import PROGRAMS, HomeAssistant
from support.mosquitto import Mosquitto
from support.mqtt_parts import House, bridge_in, info_of, run_until
from support.waiting import eventually

from esquirell.domain.reading import Reading
from esquirell.mqtt.bridge import REFRESH_S
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="HOME_ASSISTANT names no program")

# Home Assistant names these itself, in its language; the others have names of ours.
NAMES = {
    "esquirell_main_active_power": "The main one Leistung",
    "esquirell_main_frequency": "The main one Frequenz",
    "esquirell_main_temperature": "The main one Temperatur",
    "esquirell_main_energy_import": "The main one Energy import",
    "esquirell_main_voltage_a": "The main one Voltage phase A",
    "esquirell_restart": "esquirell Neu starten",
    "esquirell_log_level": "esquirell Log level",
}
# Everything else is what the house is about.
DIAGNOSTIC = {"problem", "status", "last_success", "temperature", "connectivity", "version"}
CONFIGURED = {"enabled", "interval", "cron", "log_level", "restart"}


@pytest.fixture(params=PROGRAMS or [""])
def seen(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[House, HomeAssistant]]:
    broker = Mosquitto(tmp_path)
    broker.start()
    ha = HomeAssistant(request.param, tmp_path, "Europe/Berlin", "de")
    world = House()
    world.meters = [replace(info_of("main"), mac="a4:cf:12:00:00:01"), info_of("heat-pump")]
    stop = threading.Event()
    try:
        with bridge_in(world, broker.port) as (bridge, connection):
            publisher = MqttPublisher(connection, Topics(), lambda _: 0, world.clock)
            for info in world.meters:
                values = dict.fromkeys(info.keys, 1.0)
                publisher.reading(Reading(info.meter.name, world.now, values), info.keys)
            turning = threading.Thread(target=run_until, args=(bridge, stop))
            turning.start()
            try:
                ha.start()
                ha.add_mqtt(broker.port)
                yield world, ha
            finally:
                stop.set()
                turning.join()
    finally:
        ha.stop()
        broker.kill()


def test_names_categories_and_removed_entities(seen: tuple[House, HomeAssistant]) -> None:
    world, ha = seen
    eventually(lambda: len(ha.registered()) > 60)
    eventually(lambda: names(ha).items() >= NAMES.items(), what=lambda: str(names(ha)))
    for unique_id, entity in ha.registered().items():
        key = unique_id.removeprefix("esquirell_").removeprefix("main_").removeprefix("heat-pump_")
        is_configured = any(key.endswith(one) for one in CONFIGURED)
        expected = "diagnostic" if key in DIAGNOSTIC or key.endswith("next_run") else None
        assert entity["entity_category"] == ("config" if is_configured else expected), unique_id
    devices = {one["name"]: one for one in ha.call("config/device_registry/list")}
    assert ["mac", "a4:cf:12:00:00:01"] in devices["The main one"]["connections"]
    assert devices["The main one"]["via_device_id"] == devices["esquirell"]["id"]
    world.meters = world.meters[:1]
    world.later += REFRESH_S
    eventually(lambda: not any("heat-pump" in one for one in ha.registered()))
    left = [one["name"] for one in ha.call("config/device_registry/list")]
    assert "The heat-pump one" not in left
    assert ha.complaints() == []


def names(ha: HomeAssistant) -> dict[str, object]:
    """Return what people read, by unique id."""
    shown = {one["entity_id"]: one["attributes"] for one in ha.call("get_states")}
    return {
        unique_id: shown.get(str(entity["entity_id"]), {}).get("friendly_name")
        for unique_id, entity in ha.registered().items()
    }
