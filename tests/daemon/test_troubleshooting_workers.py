"""What the troubleshooting guide says of workers that vanish or do not finish."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli import esquirell_process
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import Service
from support.troubleshooting import FAULTS, START_S, WELL, House, expect
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

# Injected by the long suite alone.
ELSEWHERE = {"the broker forbids topics"}
# A module of a user's own that breaks what reads the meters, for as long as a file is there.
HANG = """
import time
from pathlib import Path

from esquirell.services.poll import Poller

poll = Poller.poll


def hang(*args, **options):
    while Path("{file}").exists():
        time.sleep(0.1)
    return poll(*args, **options)


Poller.poll = hang
"""


def test_a_worker_that_vanishes(
    start: Callable[..., Service],
    config: str,
    broker: Mosquitto,
    server: RedisProcess,
    device: SimulatedMeter,
) -> None:
    bridge, worker = start(config, "bridge"), start(config, "worker")
    start(config, "beat")
    house = House(bridge, broker, server, device)
    eventually(lambda: worker.readings() > 1, START_S, lambda: worker.log)
    expect(house, WELL, "before")
    worker.kill()
    fault = "the only worker vanished"
    expect(house, FAULTS[fault], fault)
    start(config, "worker", "another")
    expect(house, WELL, "afterwards")


@pytest.fixture
def waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the module `hangs`; no poll returns while this file is there."""
    file = tmp_path / "waits"
    (tmp_path / "hangs.py").write_text(HANG.format(file=file))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return file


def test_polls_that_are_due_and_do_not_finish(
    start: Callable[..., Service],
    config: str,
    broker: Mosquitto,
    server: RedisProcess,
    device: SimulatedMeter,
    waits: Path,
) -> None:
    service = start(f'{config}\n[tasks]\nmodules = ["hangs"]\n')
    house = House(service, broker, server, device, run=esquirell_process)
    eventually(lambda: service.readings() > 1, START_S, lambda: service.log)
    expect(house, WELL, "before")
    waits.touch()
    expect(house, FAULTS["due polls do not finish"], "due polls do not finish")
    waits.unlink()
    expect(house, WELL, "after due polls did not finish")
    assert service.stop() == 0


def test_every_fault_of_the_guide_is_injected() -> None:
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_trouble*.py"))
    injected = {fault for fault in FAULTS if f'"{fault}"' in tests}
    assert set(FAULTS) - ELSEWHERE == injected - ELSEWHERE
    assert all(set(table) == set(WELL) for table in FAULTS.values())
