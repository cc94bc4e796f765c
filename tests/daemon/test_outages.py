"""What fails around a running service: Redis, the broker, a meter, the service itself."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, Seen, retained
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

Start = Callable[..., Service]
STATE = "esquirell/meter/main/state"
AVAILABILITY = "esquirell/meter/main/availability"


def test_it_outlives_redis(start: Start, config: str, server: RedisProcess) -> None:
    service = start(config)
    service.await_readings(1)
    server.kill()
    eventually(lambda: "Redis does not answer" in service.log, what="it notices")
    server.start()
    service.await_readings(3)
    server.client.flushall()
    service.await_readings(3)
    assert service.stop() == 0


def test_it_waits_for_a_redis_that_starts_later(
    start: Start, config: str, server: RedisProcess
) -> None:
    server.stop()
    service = start(config)
    eventually(lambda: "Redis does not answer" in service.log, what="it waits")
    server.start()
    service.await_readings(2)


def test_it_outlives_the_broker(start: Start, config: str, broker: Mosquitto) -> None:
    service = start(config)
    service.await_readings(1)
    broker.stop()
    service.await_readings(3)
    broker.start()

    def back() -> bool:
        left = retained(broker.port)
        online = json.loads(left.get("esquirell/bridge/state", b"{}")) == {"state": "online"}
        return online and STATE in left and "homeassistant/device/esquirell_main/config" in left

    eventually(back, what="all that is retained is there again")


def test_a_meter_that_fails_and_recovers_is_announced(
    start: Start, broker: Mosquitto, server: RedisProcess
) -> None:
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
        service.await_readings(1)
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
        service.await_readings(3)
        assert seen.json["last_success"] is None
    other.stop()
    assert "fedcba9876543210" not in service.log


def test_after_a_kill_the_next_start_resumes_at_once(start: Start, config: str) -> None:
    service = start(config)
    service.await_readings(2)
    service.kill()
    again = start(config, name="again")
    again.await_readings(2)
    assert again.rows("PRAGMA integrity_check") == [("ok",)]


def test_its_own_redis_is_restarted_when_it_dies(
    start: Start, broker: Mosquitto, device: SimulatedMeter
) -> None:
    service = start(configuration([meter_table("main", device.port)], mqtt_port=broker.port))
    service.await_readings(1)
    assert service.process is not None
    (child,) = children(service.process.pid)
    os.kill(child, signal.SIGKILL)
    service.await_readings(3)
    assert service.stop() == 0
    assert "is restarted" in service.log


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [
        int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()
    ]
