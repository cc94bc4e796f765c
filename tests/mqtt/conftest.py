from collections.abc import Iterator

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_certificates import Certificates
from support.mqtt_observer import Observer
from support.mqtt_parts import House


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def observer(broker: Mosquitto) -> Iterator[Observer]:
    with Observer(broker.port) as one:
        yield one
