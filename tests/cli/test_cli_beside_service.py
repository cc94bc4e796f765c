import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli import Said, esquirell_process
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, Seen
from support.service import Service, configuration, meter_table, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

HOUR = 3600


@pytest.fixture(scope="module")
def meter() -> Iterator[SimulatedMeter]:
    device = simulated()
    yield device
    device.stop()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto, meter: SimulatedMeter
) -> Iterator[Service]:
    """A service with a Redis of its own, a meter that answers and one that does not."""
    folder: Path = tmp_path_factory.mktemp("run")
    meters = [meter_table("main", meter.port), meter_table("garage", 1)]
    base = 'mqtt.base_topic = "beside"'
    config = configuration([base, *meters], mqtt_port=broker.port, every=HOUR)
    service = Service(folder, config)
    service.start()
    try:
        eventually(lambda: call(service, "health").code == 0, what="the service works")
        # Its first poll is over, so that it disturbs no count.
        eventually(lambda: "garage" in service.log, what="the first poll of a meter that is away")
        yield service
        assert service.stop() == 0
    finally:
        service.kill()


def call(service: Service, *arguments: str) -> Said:
    return esquirell_process("--config", str(service.config), *arguments)


def commands(service: Service) -> list[tuple[Any, ...]]:
    query = "SELECT command, source, status, id FROM command_log ORDER BY at, id"
    return service.rows(query)


def test_a_fetch_is_done_by_the_service(
    service: Service, meter: SimulatedMeter, broker: Mosquitto
) -> None:
    before = meter.answers
    with Observer(broker.port, "beside/meter/main/state") as observer:
        said = call(service, "fetch", "main", "--json")
        assert (said.code, said.err) == (0, "")
        moment = said.json["meters"]["main"]["measured_at"]

        def is_it(seen: Seen) -> bool:
            return bool(seen.json["measured_at"] == moment)

        observer.saw(is_it)
    assert said.json == {
        "task_id": commands(service)[-1][3],
        "meters": {"main": {"status": "ok", "measured_at": moment}},
    }
    assert commands(service)[-1][:3] == ("fetch", "cli", "ok")
    assert meter.answers == before + 1
    stored = call(service, "readings", "main", "--json").json
    assert stored[-1]["measured_at"] == moment


def test_the_values_are_shown_as_without_a_service(service: Service) -> None:
    said = call(service, "fetch", "main")
    assert (said.code, said.err) == (0, "")
    assert ["main", "voltage_a", "236.1", "V"] in said.rows
    assert ["main", "voltage_b", "", "V"] in said.rows


def test_a_meter_that_fails_is_reported_among_all(service: Service) -> None:
    said = call(service, "fetch", "--json")
    assert said.code == 1
    assert {name: one["status"] for name, one in said.json["meters"].items()} == {
        "main": "ok",
        "garage": "error",
    }
    (sentence,) = said.err.splitlines()
    assert sentence == f"esquirell: {said.json['meters']['garage']['error']}"


def test_a_meter_is_tested_by_the_service(service: Service) -> None:
    before = service.readings()
    tried = call(service, "meters", "test", "main", "--json")
    assert tried.code == 0
    assert [*tried.json] == ["name", "reading", "duration_ms"]
    assert tried.json["reading"]["voltage_a"] == 236.1
    failed = call(service, "meters", "test", "garage", "--json")
    assert failed.code == 1
    assert failed.sentence.startswith("garage (127.0.0.1:1) can't be reached")
    assert service.readings() == before


def test_a_test_of_each_meter_stores_and_publishes_nothing(service: Service) -> None:
    before = service.readings()
    said = call(service, "fetch", "--no-save", "--no-publish", "--json")
    assert said.code == 1
    assert [*said.json["meters"]] == ["main", "garage"]
    assert said.json["meters"]["main"]["status"] == "ok"
    assert said.json["meters"]["garage"]["code"] == "unreachable"
    assert service.readings() == before


@pytest.mark.parametrize("option", ["--no-save", "--no-publish"])
def test_one_of_them_alone_is_refused(service: Service, meter: SimulatedMeter, option: str) -> None:
    before = meter.answers
    said = call(service, "fetch", option)
    assert said.code == 2
    assert "give --no-save and --no-publish together, or stop the service" in said.sentence
    assert meter.answers == before


def test_doctor_asks_the_service_and_no_meter(service: Service, meter: SimulatedMeter) -> None:
    before = meter.answers
    told = {one["check"]: one for one in json.loads(call(service, "doctor", "--json").out)}
    assert told["service"]["message"] == "beat, bridge, worker: alive"
    assert told["redis"]["ok"]
    assert told["meter main: readings"]["ok"]
    assert not told["meter garage: readings"]["ok"]
    assert meter.answers == before


def test_its_database_is_not_put_back_under_it(service: Service) -> None:
    copy = str(service.folder / "copy.db")
    assert call(service, "db", "backup", copy).code == 0
    said = call(service, "db", "restore", copy)
    assert said.code == 1
    assert said.sentence.endswith(" run uses the database: stop it first")
    assert said.sentence.startswith(f"esquirell --config {service.folder}")


def test_a_capture_is_taken_by_the_service(service: Service, meter: SimulatedMeter) -> None:
    before = meter.answers
    said = call(service, "meters", "capture", "main")
    assert (said.code, said.err) == (0, "")
    assert said.json["dps"]["101"] == 2361
    assert commands(service)[-1][:3] == ("meter/capture", "cli", "ok")
    assert meter.answers == before + 1


def test_a_failed_capture_shows_its_reason(service: Service) -> None:
    said = call(service, "meters", "capture", "garage")
    assert said.code == 1
    assert "garage (127.0.0.1:1) can't be reached" in said.sentence
