"""A real Home Assistant takes what is announced; runs only where one can be started.

HOME_ASSISTANT_HARNESS names a program that starts Home Assistant against the broker given
as `--broker HOST:PORT`, takes each step given by `--do` (an action `DOMAIN.ACTION:uid:ID=VALUE`
or a message `mqtt:TOPIC=PAYLOAD`), writes what changed at each into the file given as `--out`
and, with `--strict`, ends with 0 only if it found nothing to object to.
"""

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_parts import House, bridge_in, info_of, run_until
from support.service import KEY, Service, configuration, meter_table
from support.waiting import eventually

from esquirell import profiles
from esquirell.domain.cost import Cost
from esquirell.domain.reading import Reading
from esquirell.mqtt.client import Connection
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics
from esquirell.tuya.simulator import SimulatedMeter

HARNESS = os.environ.get("HOME_ASSISTANT_HARNESS", "")
LIMIT_S = 300

pytestmark = pytest.mark.skipif(not HARNESS, reason="HOME_ASSISTANT_HARNESS names no program")

# With strict eyes, a quantity that is never measured is an objection.
POINTS = profiles.find("owon_pc321").datapoints
EVERY_DP = dict.fromkeys(POINTS, 100)
VOLTAGES = [dp for dp, point in POINTS.items() if str(point.key).startswith("voltage")]

CHANGED = object()
FETCH = "esquirell/schedule/fetch/set"
REQUEST = "esquirell/bridge/request/schedule"

# Each step, the entity to look at, and its state afterwards; None: it is not there any more.
STEPS: list[tuple[str, str, object]] = [
    ("button.press:uid:esquirell_main_fetch", "sensor.esquirell_main_voltage_a", CHANGED),
    ("button.press:uid:esquirell_fetch_run", "sensor.esquirell_main_voltage_a", CHANGED),
    ("switch.turn_off:uid:esquirell_fetch_enabled", "switch.esquirell_fetch_enabled", "off"),
    ("switch.turn_on:uid:esquirell_fetch_enabled", "switch.esquirell_fetch_enabled", "on"),
    ("number.set_value:uid:esquirell_fetch_interval=30", "number.esquirell_fetch_interval", "30"),
    (f'mqtt:{FETCH}={{"every":604800}}', "number.esquirell_fetch_interval", "604800"),
    (f'mqtt:{FETCH}={{"enabled":false}}', "event.esquirell_event", CHANGED),
    (f'mqtt:{FETCH}={{"cron":"0 6 * * mon"}}', "text.esquirell_fetch_cron", "0 6 * * mon"),
    (
        "text.set_value:uid:esquirell_fetch_cron=0 7 * * 1-5",
        "text.esquirell_fetch_cron",
        "0 7 * * 1-5",
    ),
    (f'mqtt:{FETCH}={{"every":900}}', "text.esquirell_fetch_cron", None),
    (
        f'mqtt:{REQUEST}/add={{"name":"fetch_next","every":90}}',
        "switch.esquirell_fetch_next_enabled",
        "on",
    ),
    ("select.select_option:uid:esquirell_log_level=debug", "select.esquirell_log_level", "debug"),
    (f'mqtt:{REQUEST}/remove={{"name":"fetch_next"}}', "switch.esquirell_fetch_next_enabled", None),
]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.kill()


def test_it_objects_to_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    house = House()
    house.meters = [replace(info_of("main"), currency="PLN"), info_of("heat-pump")]
    stop = threading.Event()
    with bridge_in(house, broker.port) as (bridge, connection):
        publish_all(house, connection)
        turning = threading.Thread(target=run_until, args=(bridge, stop))
        turning.start()
        try:
            home_assistant(broker.port, tmp_path, "--birth-wipe", "--restart-ha")
        finally:
            stop.set()
            turning.join()


def publish_all(house: House, connection: Connection) -> None:
    publisher = MqttPublisher(connection, Topics(), lambda _: 0, house.clock)
    for info in house.meters:
        values = dict.fromkeys(info.keys, 1.0)
        publisher.reading(Reading(info.meter.name, house.now, values), info.keys)
    today, month = Cost(house.now.replace(hour=0)), Cost(house.now.replace(day=1, hour=0))
    publisher.cost("main", {"today": today.payload(), "this_month": month.payload()})


def test_meters_and_schedules_are_controlled_both_ways(broker: Mosquitto, tmp_path: Path) -> None:
    volts = itertools.count(2300)
    device = SimulatedMeter(
        "id-main", KEY, "3.4", lambda: EVERY_DP | dict.fromkeys(VOLTAGES, next(volts))
    )
    device.start()
    config = configuration([meter_table("main", device.port)], mqtt_port=broker.port, every=3600)
    service = Service(tmp_path, config)
    service.start()
    eventually(lambda: "up as worker" in service.log, 20)
    try:
        options = [option for step, _, _ in STEPS for option in ("--do", step)]
        found = home_assistant(broker.port, tmp_path, "--do-wait", "3", *options)
    finally:
        service.stop()
        device.stop()
    for (step, entity, state), taken in zip(STEPS, found["steps"], strict=True):
        assert entity in taken["changed"], step
        assert state in (CHANGED, taken["changed"][entity][1]), step


def home_assistant(port: int, folder: Path, *options: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Start Home Assistant, take steps, and return what it saw, if it objected to nothing."""
    out = folder / "result.json"
    command = [HARNESS, "--broker", f"127.0.0.1:{port}", "--out", str(out), "--strict"]
    found = run([*command, *options])
    assert found.returncode == 0, found.stdout
    return json.loads(out.read_text())


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_S)
