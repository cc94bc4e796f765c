import json
import os
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
AVAILABILITY = "esquirell/meter/main/availability"
# What a supervisor may expect of an end, whatever hangs meanwhile.
END_S = 10.0


def more(service: Service, count: int = 2, meter: str = "main") -> None:
    """Wait until so many more readings of a meter are stored."""
    before = service.readings(meter)
    eventually(lambda: service.readings(meter) >= before + count, what=lambda: service.log)


def test_readings_are_stored_and_published_one_a_second(
    start: Start, config: str, broker: Mosquitto
) -> None:
    with Observer(broker.port, STATE) as observer:
        service = start(config)
        more(service, 5)
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


def moment(seen: Seen) -> int:
    """Return when a published reading was taken, in milliseconds of unix time."""
    return round(datetime.fromisoformat(seen.json["measured_at"]).timestamp() * 1000)


def test_the_end_comes_soon_and_is_announced(start: Start, config: str, broker: Mosquitto) -> None:
    service = start(config)
    more(service, 1)
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
    more(service, 1)
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
    more(service, 1)
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
    more(service, 1)
    server.freeze()
    began = time.monotonic()
    service.stop()
    assert time.monotonic() - began < END_S
    server.thaw()


def test_an_end_that_is_no_text_blocks_no_other(
    start: Start, config: str, broker: Mosquitto, tmp_path: Path
) -> None:
    service = start(with_tasks(tmp_path, config))
    more(service, 1)
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


def test_a_bridge_alone_gives_way_to_a_whole_service(start: Start, config: str) -> None:
    alone = start(config, "bridge", "alone")
    eventually(lambda: "up as bridge" in alone.log)
    whole = start(config)
    more(whole, 1)
    assert alone.wait() == 75
    second = start(config, "bridge", "second")
    eventually(lambda: "stands by" in second.log)


def test_it_outlives_redis(start: Start, config: str, server: RedisProcess) -> None:
    service = start(config)
    more(service, 1)
    server.kill()
    eventually(lambda: "Redis does not answer" in service.log, what="it notices")
    server.start()
    more(service, 3)
    server.client.flushall()
    more(service, 3)
    assert service.stop() == 0


def test_it_waits_for_a_redis_that_comes_later(
    start: Start, config: str, server: RedisProcess
) -> None:
    server.stop()
    service = start(config)
    eventually(lambda: "Redis does not answer" in service.log, what="it waits")
    server.start()
    more(service, 2)


def test_it_outlives_the_broker(start: Start, config: str, broker: Mosquitto) -> None:
    service = start(config)
    more(service, 1)
    broker.stop()
    more(service, 3)
    broker.start()

    def back() -> bool:
        left = retained(broker.port)
        online = json.loads(left.get("esquirell/bridge/state", b"{}")) == {"state": "online"}
        return online and STATE in left and "homeassistant/device/esquirell_main/config" in left

    eventually(back, what="all that is retained is there again")


def test_a_meter_that_goes_and_comes(start: Start, broker: Mosquitto, server: RedisProcess) -> None:
    def says(state: str) -> Callable[[Seen], bool]:
        return lambda seen: bool(seen.json["state"] == state)

    meter = simulated()
    table = meter_table("main", meter.port)
    with Observer(broker.port, AVAILABILITY) as observer:
        service = start(configuration([table], mqtt_port=broker.port, redis_url=server.url))
        observer.saw(says("online"))
        meter.stop()
        observer.forget()
        gone = observer.saw(says("offline"))
        assert gone.json["reason"] == "unreachable"
        observer.forget()
        meter = simulated(port=meter.port)
        observer.saw(says("online"))
        more(service, 1)
    meter.stop()


def test_a_wrong_key_stops_no_other_meter(
    start: Start, broker: Mosquitto, server: RedisProcess, device: SimulatedMeter
) -> None:
    other = simulated("other")
    tables = [
        meter_table("main", device.port),
        meter_table("other", other.port, key="fedcba9876543210"),
    ]
    with Observer(broker.port, "esquirell/meter/other/availability") as observer:
        service = start(configuration(tables, mqtt_port=broker.port, redis_url=server.url))
        seen = observer.saw(lambda seen: bool(seen.json["reason"] == "wrong_key"))
        more(service, 3)
        assert seen.json["last_success"] is None
    other.stop()
    assert "fedcba9876543210" not in service.log


def test_a_second_run_on_the_same_database_is_refused(start: Start, config: str) -> None:
    first = start(config)
    more(first, 1)
    second = start(config, name="second")
    assert second.wait() == 1
    assert "another service uses this database" in second.log
    assert "Traceback" not in second.log
    more(first, 1)


def test_a_second_run_in_the_same_state_directory_is_refused(
    start: Start, broker: Mosquitto, device: SimulatedMeter, tmp_path: Path
) -> None:
    """With a database of its own it would end the Redis of the first, for ever and ever."""
    table = meter_table("main", device.port)
    config = configuration([table], mqtt_port=broker.port)
    first = start(config)
    more(first, 1)
    other_database = f'database.url = "sqlite:///{tmp_path / "other.db"}"\n'
    second = start(other_database + config, name="second")
    assert second.wait() == 1
    assert "another service uses this state directory" in second.log
    more(first, 3)
    assert "Redis" not in first.log


def test_after_a_kill_the_next_start_goes_on_at_once(start: Start, config: str) -> None:
    service = start(config)
    more(service, 2)
    service.kill()
    again = start(config, name="again")
    more(again, 2)
    assert again.rows("PRAGMA integrity_check") == [("ok",)]


def test_its_own_redis_is_restarted_when_it_dies(
    start: Start, broker: Mosquitto, device: SimulatedMeter
) -> None:
    service = start(configuration([meter_table("main", device.port)], mqtt_port=broker.port))
    more(service, 1)
    assert service.process is not None
    (child,) = children(service.process.pid)
    os.kill(child, signal.SIGKILL)
    more(service, 3)
    assert service.stop() == 0
    assert "is restarted" in service.log


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [
        int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()
    ]


def test_a_changed_configuration_is_taken_over_at_a_hangup(
    start: Start, config: str, broker: Mosquitto
) -> None:
    service = start(config)
    more(service, 1)
    second = simulated("second")
    service.config.write_text(config + "\n" + meter_table("second", second.port))
    service.signal(signal.SIGHUP)
    more(service, 2, "second")
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
    more(service, 1, "second")
    assert "homeassistant/device/esquirell_second/config" in retained(broker.port)
    second.stop()


@pytest.mark.parametrize("role", ["worker", "beat", "bridge"])
def test_each_role_ends_cleanly_alone(start: Start, config: str, role: str) -> None:
    service = start(config, role)
    eventually(lambda: f"up as {role}" in service.log, what=lambda: service.log)
    assert service.stop() == 0
    assert "Traceback" not in service.log


def test_the_roles_apart_do_the_same(start: Start, config: str, broker: Mosquitto) -> None:
    services = [start(config, role) for role in ("beat", "bridge", "worker")]
    more(services[0], 3)

    left = eventually(lambda: retained(broker.port))
    assert STATE in left
    assert "homeassistant/device/esquirell_main/config" in left
    eventually(lambda: "esquirell/bridge/health" in retained(broker.port))
    for service in services:
        assert service.stop() == 0
