"""A running service: what it stores and publishes, and how it ends."""

import json
import re
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, Seen, retained
from support.ports import free_port
from support.redis_server import RedisProcess
from support.service import DPS, Service, configuration, meter_table, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

Start = Callable[..., Service]
STATE = "esquirell/meter/main/state"
# What a supervisor may expect of an end, whatever hangs meanwhile.
END_S = 10.0


def test_readings_are_stored_and_published_one_a_second(
    start: Start, config: str, broker: Mosquitto
) -> None:
    with Observer(broker.port, STATE) as observer:
        service = start(config)
        service.await_readings(5)
        assert service.stop() == 0
    published = {seen.json["measured_at"] for seen in observer.messages}
    stored = [int(str(row[0])) for row in service.rows("SELECT measured_at FROM reading")]
    # What the meter says when its line is opened is published as well, and not stored.
    assert len(stored) <= len(published) <= len(stored) + 1
    assert len({moment // 1000 for moment in stored[1:]}) == len(stored[1:])
    shape = observer.messages[-1].json
    assert shape["voltage_a"] == DPS["101"] / 10
    assert shape["energy_import"] == DPS["131"] / 100
    assert shape["voltage_b"] is None
    assert shape["diagnostics"] == {"DeviceStatus": 14, "push": "on", "oldest_s": 0}


def test_at_a_slower_pace_the_newest_reading_goes_out_and_the_last_one_at_the_end(
    start: Start, broker: Mosquitto, server: RedisProcess, device: SimulatedMeter
) -> None:
    table = f"{meter_table('main', device.port)}\npublish_every = 4"
    with Observer(broker.port, STATE) as observer:
        service = start(configuration([table], mqtt_port=broker.port, redis_url=server.url))
        for number in (1, 2):
            observer.saw(lambda _, number=number: len(observer.messages) > number)  # type: ignore[misc]
        assert service.stop() == 0
        stored = [int(str(row[0])) for row in service.rows("SELECT measured_at FROM reading")]
        eventually(lambda: moment(observer.messages[-1]) >= max(stored))
    published = [moment(seen) for seen in observer.messages]
    for period in {at // 4000 for at in published[:-1]}:
        newest = max(at for at in published[:-1] if at // 4000 == period)
        assert newest >= max(at for at in stored if at // 4000 == period)
    assert len(published) < len(stored)


LONG_AGO = "2026-11-22T12:00:00.000Z"


def moment(seen: Seen) -> int:
    """Return when a published reading was taken, in milliseconds of unix time."""
    return round(datetime.fromisoformat(seen.json["measured_at"]).timestamp() * 1000)


def test_counters_of_a_meter_that_is_gone_stay_over_a_restart(
    start: Start, broker: Mosquitto, server: RedisProcess
) -> None:
    device = simulated()
    config = configuration(
        [meter_table("main", device.port)], mqtt_port=broker.port, redis_url=server.url
    )
    service = start(config)
    service.await_readings(1)
    assert service.stop() == 0
    device.stop()
    with Observer(broker.port) as observer:
        long_ago = json.loads(retained(broker.port)[STATE]) | {"measured_at": LONG_AGO}
        observer.publish(STATE, json.dumps(long_ago).encode(), retain=True)
    service.start()
    eventually(lambda: json.loads(retained(broker.port)[STATE])["voltage_a"] is None)
    shape = json.loads(retained(broker.port)[STATE])
    assert shape["energy_import"] == DPS["131"] / 100
    assert (shape["measured_at"], shape["diagnostics"]) == (LONG_AGO, long_ago["diagnostics"])
    assert service.stop() == 0


def test_shutdown_is_quick_and_announced(start: Start, config: str, broker: Mosquitto) -> None:
    service = start(config)
    service.await_readings(1)
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < END_S
    left = retained(broker.port)
    assert json.loads(left["esquirell/bridge/state"]) == {"state": "offline"}
    for line in service.log.splitlines():
        assert re.match(r"(\d\d:\d\d:\d\d )?(INFO|WARNING) ", line), f"not one of our lines: {line}"


def test_it_ends_soon_while_a_meter_hangs_and_redis_is_away(
    start: Start, broker: Mosquitto, server: RedisProcess, device: SimulatedMeter
) -> None:
    silent = free_port()
    tables = [meter_table("main", device.port), meter_table("hung", silent)]
    service = start(configuration(tables, mqtt_port=broker.port, redis_url=server.url))
    service.await_readings(1)
    server.kill()
    began = time.monotonic()
    service.signal(signal.SIGTERM)
    service.wait()
    assert time.monotonic() - began < END_S


SLOW = """
import time

from celery import shared_task

from esquirell.tasks import schedulable


@schedulable()
@shared_task
def sleep():
    time.sleep(3600)


@schedulable()
@shared_task
def odd():
    return "no text: \\udcff"
"""


def with_tasks(folder: Path, config: str) -> str:
    (folder / "slow_tasks.py").write_text(SLOW)
    return f'tasks.modules = ["slow_tasks"]\n{config}'


def test_it_ends_soon_though_a_users_task_does_not(
    start: Start, config: str, broker: Mosquitto, tmp_path: Path
) -> None:
    service = start(with_tasks(tmp_path, config))
    service.await_readings(1)
    with Observer(broker.port, "esquirell/bridge/response/#") as observer:
        request = b'{"task": "slow_tasks.sleep"}'
        observer.publish("esquirell/bridge/request/task/run", request)
        observer.saw(lambda seen: seen.json["status"] == "accepted")
        eventually(lambda: service.rows("SELECT 1 FROM command_log"))
    before = service.readings()
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < END_S
    assert service.readings() >= before
    assert json.loads(retained(broker.port)["esquirell/bridge/state"]) == {"state": "offline"}


def test_it_ends_soon_though_redis_hangs(start: Start, config: str, server: RedisProcess) -> None:
    service = start(config)
    service.await_readings(1)
    server.freeze()
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < END_S
    server.thaw()


def test_an_end_that_is_no_text_blocks_no_other(
    start: Start, config: str, broker: Mosquitto, tmp_path: Path
) -> None:
    service = start(with_tasks(tmp_path, config))
    service.await_readings(1)
    with Observer(broker.port, "esquirell/bridge/response/#") as observer:
        observer.publish("esquirell/bridge/request/task/run", b'{"task": "slow_tasks.odd"}')
        observer.saw(lambda seen: seen.json["status"] == "ok")
        observer.publish("esquirell/bridge/request/fetch", b"")
        observer.saw(lambda seen: seen.topic.endswith("/fetch") and seen.json["status"] == "ok")
    assert "Traceback" not in service.log


def test_a_bad_crontab_of_the_file_is_refused_at_the_start(start: Start, config: str) -> None:
    service = start(f'{config}\n[[schedules]]\nname = "night"\ncron = "99 * * * *"')
    assert service.wait() == 2
    assert "schedules.night" in service.log
    assert "Traceback" not in service.log


def test_a_task_that_is_not_there_is_refused_at_the_start(start: Start, config: str) -> None:
    service = start(f'{config}\n[[schedules]]\nname = "odd"\nevery = 5\ntask = "nix"')
    assert service.wait() == 2
    assert "schedules.odd: there is no schedulable task 'nix'" in service.log


def test_a_changed_configuration_is_taken_over_at_a_hangup(
    start: Start, config: str, broker: Mosquitto
) -> None:
    service = start(config)
    service.await_readings(1)
    second = simulated("second")
    service.config.write_text(config + "\n" + meter_table("second", second.port))
    service.signal(signal.SIGHUP)
    service.await_readings(2, "second")
    eventually(lambda: "homeassistant/device/esquirell_second/config" in retained(broker.port))
    # What was begun in one time zone goes on in it.
    moved = config.replace('"UTC"', '"Europe/Warsaw"')
    service.config.write_text(moved + "\n" + meter_table("second", second.port))
    service.signal(signal.SIGHUP)
    eventually(lambda: "time zone is Europe/Warsaw by now, and UTC until" in service.log)
    service.config.write_text("broken =")
    service.signal(signal.SIGHUP)
    eventually(lambda: "the configuration is unchanged" in service.log)
    # As an editor leaves the file for a moment.
    service.config.write_text("")
    service.signal(signal.SIGHUP)
    eventually(lambda: "no longer has any meters" in service.log)
    service.await_readings(1, "second")
    assert "homeassistant/device/esquirell_second/config" in retained(broker.port)
    second.stop()


def test_a_configuration_changed_during_a_start_is_taken_over_at_a_hangup(
    start: Start, config: str
) -> None:
    service = start(config)
    # By then it was read.
    eventually((service.folder / "data" / "run.lock").exists)
    second = simulated("second")
    service.config.write_text(config + "\n" + meter_table("second", second.port))
    service.signal(signal.SIGHUP)
    service.await_readings(2, "second")
    assert service.stop() == 0
    second.stop()


@pytest.mark.parametrize("role", ["worker", "beat", "bridge"])
def test_each_role_ends_cleanly_alone(start: Start, config: str, role: str, tmp_path: Path) -> None:
    service = start(config, role)
    eventually(lambda: f"up as {role}" in service.log, what=lambda: service.log)
    assert service.stop() == 0
    assert "Traceback" not in service.log
    # By it the role recognises its disk, plugged in again.
    assert (tmp_path / "data" / "instance").exists()


def test_the_roles_apart_do_the_same(start: Start, config: str, broker: Mosquitto) -> None:
    services = [start(config, role) for role in ("beat", "bridge", "worker")]
    services[0].await_readings(3)

    left = eventually(lambda: retained(broker.port))
    assert STATE in left
    assert "homeassistant/device/esquirell_main/config" in left
    eventually(lambda: "esquirell/bridge/health" in retained(broker.port))
    for service in services:
        assert service.stop() == 0
