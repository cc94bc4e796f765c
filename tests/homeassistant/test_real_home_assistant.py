"""A real Home Assistant takes what is announced; runs only where one can be started.

ESQUIRELL_HOME_ASSISTANT names a program that starts Home Assistant against the broker given
as `--broker HOST:PORT` and, with `--strict`, ends with 0 only if it found nothing to object to.
"""

import os
import subprocess
import threading
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_parts import House, bridge_in, info_of

from esquirell.domain.reading import Reading
from esquirell.mqtt.client import Connection
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

HARNESS = os.environ.get("ESQUIRELL_HOME_ASSISTANT", "")


@pytest.mark.skipif(not HARNESS, reason="ESQUIRELL_HOME_ASSISTANT names no program")
def test_it_objects_to_nothing(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    house = House()
    house.meters = [info_of("main"), info_of("heat-pump")]
    stop = threading.Event()
    with bridge_in(house, broker.port) as (bridge, connection):
        publish_all(house, connection)
        turning = threading.Thread(target=bridge.run, args=(stop,))
        turning.start()
        found = run_harness(broker.port, tmp_path)
        stop.set()
        turning.join()
    broker.kill()
    assert found.returncode == 0, found.stdout


def publish_all(house: House, connection: Connection) -> None:
    publisher = MqttPublisher(connection, Topics(), {}, house.clock)
    for info in house.meters:
        values = dict.fromkeys(info.keys, 1.0)
        publisher.reading(Reading(info.meter.name, house.now, values), info.keys)


def run_harness(port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [HARNESS, "--broker", f"127.0.0.1:{port}", "--out", str(folder / "result.json")]
    options = ["--strict", "--birth-wipe", "--restart-ha"]
    return subprocess.run(
        [*command, *options], check=False, capture_output=True, text=True, timeout=300
    )
