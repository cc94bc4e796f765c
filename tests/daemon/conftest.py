from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import QUICK, Service, configuration, meter_table
from support.troubleshooting import START_S, House
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start roles; end them after the test."""
    started: list[Service] = []

    def start(
        config: str, role: str = "run", name: str = "", program: Sequence[str] = QUICK
    ) -> Service:
        service = Service(tmp_path, config, role, name or role, program)
        service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        service.kill()


@pytest.fixture
def config(broker: Mosquitto, server: RedisProcess, device: SimulatedMeter) -> str:
    """One meter, read every second."""
    table = meter_table("main", device.port)
    return configuration([table], mqtt_port=broker.port, redis_url=server.url)


@pytest.fixture
def house(
    start: Callable[..., Service],
    config: str,
    broker: Mosquitto,
    server: RedisProcess,
    device: SimulatedMeter,
) -> Iterator[House]:
    """A service that reads one meter, and its surroundings."""
    service = start(config)
    house = House(service, broker, server, device)
    eventually(lambda: service.readings() > 1, START_S, lambda: service.log)
    yield house
    house.device.stop()
