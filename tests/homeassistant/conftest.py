"""A Home Assistant that has met the meter; its past is staged in its recorder's database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.home_assistant import PROGRAMS, HomeAssistant
from support.mosquitto import Mosquitto
from support.shown import CLASSES, announce, entities_of, wait_for_states
from support.staged import StagedHouse
from support.waiting import eventually


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module", params=PROGRAMS or [""])
def met(
    broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> HomeAssistant:
    """A Home Assistant that has met the meter, and was stopped."""
    folder = tmp_path_factory.mktemp("met")
    ha = HomeAssistant(request.param, folder, "Europe/Warsaw")
    ha.start()
    try:
        ha.add_mqtt(broker.port)
        announce(broker.port)
        eventually(lambda: len(entities_of(ha)) == len(CLASSES), 30)
        # Older releases give them names of their own.
        ha.entities = entities_of(ha)
        wait_for_states(ha)
    finally:
        ha.stop()
    return ha


@pytest.fixture
def house(met: HomeAssistant, tmp_path: Path) -> Iterator[StagedHouse]:
    ha = met.copy_to(tmp_path)
    house = StagedHouse(tmp_path, ha)
    yield house
    ha.stop()
    house.close()
