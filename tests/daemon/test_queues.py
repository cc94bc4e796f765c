"""Meters on another network: their queue, and the workers that serve it."""

from collections.abc import Callable, Iterator

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, is_end
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.waiting import LIMIT_S, eventually

from esquirell.tuya.simulator import SimulatedMeter

Start = Callable[..., Service]
GARAGE = "esquirell/meter/garage/availability"
ANSWER = "esquirell/bridge/response/#"


@pytest.fixture
def garage() -> Iterator[SimulatedMeter]:
    meter = simulated("garage")
    yield meter
    meter.stop()


@pytest.fixture
def divided(
    broker: Mosquitto, server: RedisProcess, device: SimulatedMeter, garage: SimulatedMeter
) -> str:
    tables = [
        meter_table("main", device.port),
        meter_table("garage", garage.port) + '\nqueue = "yard"',
    ]
    return configuration(tables, mqtt_port=broker.port, redis_url=server.url)


def test_each_worker_reads_the_meters_of_its_queue_and_an_answer_lists_all(
    start: Start, divided: str, broker: Mosquitto
) -> None:
    service = start(divided)
    remote = start(divided, "worker --queue yard", "yard")
    eventually(
        lambda: service.readings("garage") and service.readings("main"), what=lambda: service.log
    )
    eventually(lambda: "up as worker@yard" in remote.log)
    with Observer(broker.port, ANSWER) as observer:
        observer.publish("esquirell/bridge/request/fetch", b"{}")
        answer = observer.saw(is_end).json
    assert answer["status"] == "ok"
    assert list(answer["data"]["meters"]) == ["main", "garage"]
    with Observer(broker.port, ANSWER) as observer:
        observer.publish("esquirell/bridge/request/meter/test", b'{"name": "garage"}')
        answer = observer.saw(is_end).json
    assert answer["data"]["reading"]["voltage_a"] == 236.1
    assert "no worker serves" not in remote.log


def test_an_unserved_queue_is_reported_and_leaves_no_backlog(
    start: Start, divided: str, broker: Mosquitto, server: RedisProcess
) -> None:
    with Observer(broker.port, GARAGE) as observer:
        service = start(divided)
        eventually(lambda: service.readings("main") >= 4, what=lambda: service.log)
        told = eventually(
            lambda: [one.json for one in observer.messages if one.json["failures"] >= 2], 20
        )
    assert told[0]["state"] == "offline"
    assert told[0]["reason"] == "unreachable"
    assert "worker --queue yard on its network" in service.log
    assert server.client.llen("yard") == 0
    with Observer(broker.port, "esquirell/bridge/response/health") as observer:
        observer.publish("esquirell/bridge/request/health", b"{}")
        health = eventually(lambda: [one.json["data"] for one in observer.messages])[0]
    assert health["queue"]["unserved"] == ["yard"]
    start(divided, "worker --queue yard", "yard")
    eventually(lambda: service.readings("garage"), what=lambda: service.log)


def test_a_worker_that_dies_in_the_middle_delays_no_other_meter(start: Start, divided: str) -> None:
    service = start(divided)
    remote = start(divided, "worker --queue yard", "yard")
    eventually(lambda: service.readings("garage"), what=lambda: service.log)
    remote.kill()
    before = service.readings("main")
    eventually(lambda: service.readings("main") >= before + 8, what=lambda: service.log)
    # A worker is gone once it was silent for a minute.
    eventually(lambda: "no worker serves queue yard" in service.log, 2 * LIMIT_S)


def test_a_meter_that_two_schedules_want_in_the_same_second_is_read_once_for_both(
    start: Start, broker: Mosquitto, server: RedisProcess, device: SimulatedMeter
) -> None:
    table = meter_table("main", device.port) + "\npush = false"
    config = configuration([table], mqtt_port=broker.port, redis_url=server.url, every=2)
    config += '\n[[schedules]]\nname = "again"\ntask = "fetch_and_save_energy_data"\nevery = 2'
    with Observer(broker.port, "esquirell/schedule/+/state") as observer:
        service = start(config)
        eventually(lambda: service.readings() >= 5, what=lambda: service.log)
        assert service.stop() == 0
    turns = [int(str(row[0])) // 2000 for row in service.rows("SELECT measured_at FROM reading")]
    # The first readings are those of the start, off the grid.
    assert len(set(turns[2:])) == len(turns[2:])
    ran = {(seen.json["name"], seen.json["last_result"]) for seen in observer.messages}
    assert {("fetch", "ok"), ("again", "ok")} <= ran
    assert "is being read" not in service.log


def test_a_queue_of_no_meter_is_refused(start: Start, divided: str) -> None:
    service = start(divided, "worker --queue jard", "jard")
    assert service.wait() == 2
    assert "known: default, yard" in service.log
