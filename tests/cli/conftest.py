import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import Home, meter
from support.mosquitto import Mosquitto
from support.ports import tuyas_own_ports
from support.redis_server import RedisProcess

from esquirell.runtime import root
from esquirell.storage.maintenance.migrate import upgrade
from esquirell.tuya.simulator import SimulatedMeter


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with all tables: copying it is quicker than making it."""
    file = tmp_path_factory.mktemp("tables") / "esquirell.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def home(tmp_path: Path, tables: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("ESQUIRELL_") or name in {"STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"}:
            monkeypatch.delenv(name)
    # A command leaves the file it was given here, for its children.
    monkeypatch.setenv("ESQUIRELL_CONFIG", "")
    yield Home(tmp_path, tables)
    root.use(None)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    folder = tmp_path / "redis"
    folder.mkdir()
    process = RedisProcess(folder)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def own_ports() -> Iterator[None]:
    with tuyas_own_ports():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
def house(home: Home, device: SimulatedMeter, broker: Mosquitto, server: RedisProcess) -> Home:
    """A home in which all is well, but nothing runs yet."""
    home.configure(meter(port=device.port), mqtt__port=broker.port, redis__url=server.url)
    home.store()
    return home
