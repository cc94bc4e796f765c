from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table

from esquirell.tuya.simulator import SimulatedMeter


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start roles; end them after the test."""
    started: list[Service] = []

    def start(config: str, role: str = "run", name: str = "") -> Service:
        service = Service(tmp_path, config, role, name or role)
        service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        service.kill()


@pytest.fixture
def config(broker: Mosquitto, server: RedisProcess, device: SimulatedMeter) -> str:
    """One meter, read each second."""
    table = meter_table("main", device.port)
    return configuration([table], mqtt_port=broker.port, redis_url=server.url)
