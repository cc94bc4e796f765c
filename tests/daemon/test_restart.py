"""A service that is asked over MQTT to restart, or to log more, while it runs."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.house import house_of
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

# The minute that has to pass before a restart is what other tests are about.
AT_ONCE = """
from esquirell.services import control
control.RESTART_AGAIN_S = 0.0
from esquirell.__main__ import main
main()
"""
UP = "up as "

Begin = Callable[[str, str], Service]


class Impatient(Service):
    """A service that restarts however young it is."""

    @property
    def program(self) -> list[str]:
        return [sys.executable, "-c", AT_ONCE]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    started: list[Service] = []

    def begin(config: str, role: str = "run") -> Service:
        service = Impatient(tmp_path, config, role, role)
        service.start()
        started.append(service)
        return service

    yield begin
    for service in started:
        service.kill()


@pytest.fixture
def config(broker: Mosquitto, device: SimulatedMeter) -> str:
    return configuration([meter_table("main", device.port)], mqtt_port=broker.port)


def test_it_restarts_in_its_place_and_measures_on(
    begin: Begin, broker: Mosquitto, config: str
) -> None:
    with house_of(begin, config, broker) as house:
        service = house.service
        assert service.process
        pid = service.process.pid
        eventually(lambda: service.readings() > 0)
        assert house.ask("restart")["status"] == "ok"
        eventually(lambda: service.log.count(UP) == 2, what=lambda: service.log)
        before = service.readings()
        eventually(lambda: service.readings() > before + 1)
        assert service.process.poll() is None
        assert service.process.pid == pid
        assert "Traceback" not in service.log
        assert service.stop() == 0


def test_a_stop_while_it_restarts_ends_it(begin: Begin, broker: Mosquitto, config: str) -> None:
    with house_of(begin, config, broker) as house:
        house.ask("restart")
        service = house.service
        eventually(lambda: "restarts" in service.log, what=lambda: service.log)
        service.signal(signal.SIGTERM)
        # Python itself may not have begun to listen to signals again.
        assert service.wait() in (0, -signal.SIGTERM)
        assert service.log.count(UP) == 1


def test_all_processes_of_a_service_restart_and_log_more(
    begin: Begin, broker: Mosquitto, server: RedisProcess, device: SimulatedMeter
) -> None:
    table = meter_table("main", device.port)
    config = configuration([table], mqtt_port=broker.port, redis_url=server.url)
    services = [begin(config, role) for role in ("worker", "beat")]
    with house_of(lambda text: begin(text, "bridge"), config, broker) as house:
        services.append(house.service)
        for service in services:
            eventually(lambda: UP in service.log, what=lambda: service.log)  # noqa: B023 - at once
        assert house.ask("log_level", level="debug")["data"] == {"level": "debug"}
        await_level(house.observer, "debug")
        for service in services:
            eventually(lambda: "changed to debug" in service.log, what=lambda: service.log)  # noqa: B023 - same
        house.observer.forget()
        house.ask("restart")
        for service in services:
            eventually(lambda: service.log.count(UP) == 2, what=lambda: service.log)  # noqa: B023 - same
        await_level(house.observer, "info")
        for service in services:
            assert service.stop() == 0


def await_level(observer: Observer, level: str) -> None:
    """Wait until the bridge says that it logs at a level."""
    eventually(
        lambda: any(
            seen.json["log_level"] == level for seen in observer.of("esquirell/bridge/info")
        ),
        what=f"the level {level}",
    )
