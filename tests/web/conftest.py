from collections.abc import Iterator

import pytest
from support.page_house import House, running_house
from support.past_house import past_house
from support.service import simulated

from esquirell.runtime.storage import Storage
from esquirell.tuya.simulator import SimulatedMeter


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """The database of a house that has a past."""
    with past_house(tmp_path_factory.mktemp("history")) as storage:
        yield storage


@pytest.fixture
def barn() -> Iterator[SimulatedMeter]:
    meter = simulated("barn")
    yield meter
    meter.stop()
