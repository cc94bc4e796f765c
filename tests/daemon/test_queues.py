"""Meters on another network: their queue, and the workers that serve it."""

from collections.abc import Callable, Iterator

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table, simulated
from support.waiting import eventually

from esquirell.services.elsewhere import SHARED_FROM
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


def ended(observer: Observer) -> dict[str, object]:
    """Wait for the end of the command that was sent."""
    ends = eventually(
        lambda: [one for one in observer.messages if one.json["status"] != "accepted"], 50
    )
    answer: dict[str, object] = ends[0].json
    return answer


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
        answer = ended(observer)
    assert answer["status"] == "ok"
    data = answer["data"]
    assert isinstance(data, dict)
    assert list(data["meters"]) == ["main", "garage"]
    with Observer(broker.port, ANSWER) as observer:
        observer.publish("esquirell/bridge/request/meter/test", b'{"name": "garage"}')
        answer = ended(observer)
    data = answer["data"]
    assert isinstance(data, dict)
    assert data["reading"]["voltage_a"] == 236.1
    assert "no worker serves" not in remote.log


def test_a_queue_that_nobody_serves_is_told_and_leaves_no_backlog(
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
    assert "start esquirell worker --queue yard" in service.log
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
    eventually(lambda: "no worker serves queue yard" in service.log, what=lambda: service.log)


def test_a_share_that_no_other_worker_takes_is_read_by_who_divided_the_poll(
    start: Start, broker: Mosquitto, server: RedisProcess, device: SimulatedMeter
) -> None:
    gone = [meter_table(f"gone{number}", 1) for number in range(SHARED_FROM)]
    plain = configuration(
        [*gone, meter_table("main", device.port)],
        mqtt_port=broker.port,
        redis_url=server.url,
        every=3600,
    )
    # With one place, the message for the others waits behind the poll itself.
    service = start(f"{plain}\n[worker]\nconcurrency = 1")
    eventually(lambda: service.readings("main"), what=lambda: service.log)
    server.client.set("esquirell:role:worker:another", "now")
    with Observer(broker.port, ANSWER) as observer:
        observer.publish("esquirell/bridge/request/fetch", b"{}")
        answer = ended(observer)
    data = answer["data"]
    assert isinstance(data, dict)
    assert data["meters"].pop("main")["status"] == "ok"
    assert {one["code"] for one in data["meters"].values()} == {"unreachable"}
    assert len(data["meters"]) == SHARED_FROM
    assert "gave no answer in time" not in service.log


def test_a_queue_of_no_meter_is_refused(start: Start, divided: str) -> None:
    service = start(divided, "worker --queue jard", "jard")
    assert service.wait() == 2
    assert "known: default, yard" in service.log
