from collections.abc import Iterator

import pytest
from support.flower_pages import LOCAL_KEY, REDIS_PASSWORD, House
from support.redis_server import RedisProcess
from support.service import DPS
from support.tuya_devices import FakeDevice, say_nothing

from esquirell.tuya.simulator import SimulatedMeter


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    redis = RedisProcess(folder, REDIS_PASSWORD)
    redis.start()
    meter = SimulatedMeter("id-main", LOCAL_KEY, "3.4", lambda: DPS)
    meter.start()
    with FakeDevice(say_nothing) as hung:
        house = House(folder, redis, meter, hung)
        yield house
        house.close()
    meter.stop()
    redis.stop()
