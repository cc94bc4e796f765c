"""What the troubleshooting guide says of a meter that fails, and of a wrong clock."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.cli import esquirell_process
from support.fault_bench import preloaded
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import Service, simulated
from support.troubleshooting import FAULTS, START_S, WELL, WITHIN_S, House, check_faults, expect
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter


@contextmanager
def meter_off(house: House) -> Iterator[None]:
    house.device.stop()
    yield
    put_back(house)


def put_back(house: House) -> None:
    """Put the right meter in its place, and read it now: one that failed often is left alone."""
    house.device = simulated(port=house.device.port)
    answers: list[tuple[int, str]] = []

    def is_read() -> bool:
        # In a process of its own: in this one Celery may keep the Redis of another test.
        said = esquirell_process("--config", str(house.service.config), "fetch", "main")
        answers.append((said.code, said.out + said.err))
        return said.code == 0

    eventually(is_read, WITHIN_S, lambda: f"{answers[-1]}; {house.service.log[-3000:]}")


def another_meter(key: str, version: str) -> Callable[[House], Iterator[None]]:
    def replace(house: House) -> Iterator[None]:
        house.device.stop()
        dps = {"101": 2361, "103": -140, "131": 106421}
        other = SimulatedMeter("id-main", key, version, lambda: dps, port=house.device.port)
        other.start()
        yield
        other.stop()
        put_back(house)

    return replace


def test_every_place_shows_a_fault_of_the_meter(house: House) -> None:
    faults = {
        "a meter is off": meter_off,
        "a meter has another key": contextmanager(another_meter("fedcba9876543210", "3.4")),
        "a meter speaks another protocol": contextmanager(another_meter("0123456789abcdef", "3.3")),
    }
    check_faults(house, faults)


@pytest.fixture
def shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that says by how many seconds the clock of new processes is wrong."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    for name, value in preloaded(tmp_path, "clock_step").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLOCK_STEP_FILE", str(offset))
    return offset


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_a_clock_that_is_wrong(
    start: Callable[..., Service],
    config: str,
    broker: Mosquitto,
    server: RedisProcess,
    device: SimulatedMeter,
    shift: Path,
) -> None:
    """A computer that starts in 1970, and whose clock is set right later."""
    shift.write_text(str(-int(time.time())))
    service = start(config)
    # Each command is another process of this computer.
    house = House(service, broker, server, device, run=esquirell_process)
    eventually(lambda: device.answers > 1, START_S, lambda: service.log)
    expect(house, FAULTS["the clock is wrong"], "the clock is wrong")
    shift.write_text("0")
    expect(house, WELL, "after the clock was wrong")
    assert service.stop() == 0
    assert service.readings() == device.answers
