"""Each fault of the troubleshooting guide, injected: every place shows what its table says."""

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.cli import Said, esquirell, esquirell_process
from support.fault_bench import preloaded
from support.mosquitto import Mosquitto
from support.mqtt_observer import retained
from support.redis_server import RedisProcess
from support.service import Service, simulated
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "troubleshooting.md"
ROW = re.compile(r"^\|(.*)\|$")
LIST = ("meters", "list", "--json")
# What is said within 30 s; on a busy machine to look at all places takes its time, too.
WITHIN_S = 60.0
START_S = 180.0
# Injected by the long suite alone, or by tests of their own.
ELSEWHERE = {"the broker forbids topics"}
OF_THEIR_OWN = {"the only worker vanished", "the clock is wrong", "due polls do not finish"}
# A task of a user's own that waits for something, for as long as a file is there.
NAP = """
import time
from pathlib import Path

from celery import shared_task


@shared_task
def nap():
    while Path("{file}").exists():
        time.sleep(0.1)
"""


def faults() -> dict[str, dict[str, str]]:
    """Read the tables of the guide: what each place shows, by fault."""
    section = GUIDE.read_text().partition("## What each fault looks like")[2]
    found: dict[str, dict[str, str]] = {}
    names: list[str] = []
    for line in section.partition("\n## ")[0].splitlines():
        row = ROW.match(line)
        if row is None or set(line) <= set("|-"):
            continue
        place, *cells = [cell.strip() for cell in row[1].split("|")]
        if place:
            for name, cell in zip(names, cells, strict=True):
                found[name][place.strip("`")] = cell
        else:
            names = cells
            found |= {name: {} for name in names}
    return found


FAULTS = faults()


@dataclass
class House:
    """A service that reads one meter, and its surroundings."""

    service: Service
    broker: Mosquitto
    server: RedisProcess
    device: SimulatedMeter
    run: Callable[..., Said] = esquirell

    def command(self, *words: str) -> tuple[int, str]:
        said = self._say(*words)
        return said.code, said.out + said.err

    def _say(self, *words: str) -> Said:
        return self.run("--config", str(self.service.config), *words)

    def shows(self, place: str) -> str:
        """Return what a place shows, as the tables write it."""
        if place in ("health", "doctor"):
            code, said = self.command(place)
            return f"{code}, *{said}*"
        if place == "meters list":
            return str(self._say(*LIST).json[0]["state"])
        topic = "meter/main/availability" if place == "availability" else place
        shape = json.loads(retained(self.broker.port).get(f"esquirell/{topic}", b"{}"))
        if place == "bridge/health":
            return "healthy" if shape.get("healthy") else "not healthy"
        return f"{shape.get('state')}, `{shape.get('reason')}`"


def agrees(expected: str, shown: str) -> bool:
    """Whether a place shows what its cell says: the first word, and each part that is marked."""
    first = expected.partition(",")[0]
    marked = re.findall(r"[*`]([^*`]+)[*`]", expected)
    return shown.partition(",")[0] == first and all(part in shown for part in marked)


def is_checked(cell: str) -> bool:
    """Whether a place can be looked at meanwhile, and shows something of the fault."""
    return cell not in {"-", "as before"} and "where allowed" not in cell


Injected = Callable[[House], AbstractContextManager[None]]


@contextmanager
def redis_killed(house: House) -> Iterator[None]:
    house.server.kill()
    yield
    house.server.start()


@contextmanager
def redis_read_only(house: House) -> Iterator[None]:
    house.server.client.replicaof("127.0.0.1", "1")
    yield
    house.server.client.replicaof("NO", "ONE")


@contextmanager
def redis_full(house: House) -> Iterator[None]:
    house.server.client.config_set("maxmemory-policy", "noeviction")
    house.server.client.config_set("maxmemory", "1")
    yield
    house.server.client.config_set("maxmemory", "0")


@contextmanager
def redis_forbids(house: House) -> Iterator[None]:
    """Take the rights to write away, as an administrator who sets up an ACL."""
    client = house.server.client
    client.acl_setuser("default", enabled=True, nopass=True, categories=["-@write"])
    yield
    client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"])


@contextmanager
def redis_forbids_channels(house: House) -> Iterator[None]:
    house.server.client.acl_setuser("default", enabled=True, nopass=True, reset_channels=True)
    yield
    house.server.client.acl_setuser("default", enabled=True, nopass=True, channels=["*"])


@contextmanager
def broker_stopped(house: House) -> Iterator[None]:
    house.broker.stop()
    yield
    house.broker.start()


@contextmanager
def broker_frozen(house: House) -> Iterator[None]:
    house.broker.freeze()
    yield
    house.broker.thaw()


@contextmanager
def database_locked(house: House) -> Iterator[None]:
    with closing(sqlite3.connect(house.service.database)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


@contextmanager
def database_gone(house: House) -> Iterator[None]:
    aside = house.service.folder / "aside"
    aside.mkdir()
    files = list(house.service.database.parent.glob("esquirell.db*"))
    for file in files:
        file.rename(aside / file.name)
    yield
    for file in files:
        (aside / file.name).rename(file)


@contextmanager
def meter_off(house: House) -> Iterator[None]:
    house.device.stop()
    yield
    put_back(house)


def put_back(house: House) -> None:
    """Put the right meter in its place, and read it now: one that failed often is left alone."""
    house.device = simulated(port=house.device.port)
    eventually(lambda: house.command("fetch", "main")[0] == 0, WITHIN_S, "the meter answers again")


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


@contextmanager
def service_stopped(house: House) -> Iterator[None]:
    assert house.service.stop() == 0
    yield
    house.service.start()


@contextmanager
def login_refused(house: House) -> Iterator[None]:
    house.broker.stop()
    house.broker.configure(["allow_anonymous false"])
    house.broker.start()
    yield
    house.broker.stop()
    house.broker.configure(["allow_anonymous true"])
    house.broker.start()


# By the part that fails, each with a service of its own.
FAULTS_OF: dict[str, dict[str, Injected]] = {
    "Redis": {"Redis is unreachable": redis_killed, "Redis refuses": redis_read_only},
    "broker": {
        "the broker is unreachable": broker_stopped,
        "the broker confirms nothing": broker_frozen,
        "the broker refuses the login": login_refused,
    },
    "database": {
        "the database is locked": database_locked,
        "the file of the database is gone": database_gone,
    },
    "meter": {
        "a meter is off": meter_off,
        "a meter has another key": contextmanager(another_meter("fedcba9876543210", "3.4")),
        "a meter speaks another protocol": contextmanager(another_meter("0123456789abcdef", "3.3")),
    },
    "service": {"the service is stopped": service_stopped},
}
WELL = {
    "health": "0",
    "bridge/health": "healthy",
    "bridge/state": "online",
    "availability": "online",
    "meters list": "online",
    "doctor": "0",
}


def expect(house: House, table: dict[str, str], when: str) -> None:
    """Wait until every place shows what it should."""
    for place, cell in table.items():
        if is_checked(cell):
            expect_at(house, place, cell, when)


def expect_at(house: House, place: str, cell: str, when: str) -> None:
    seen = [""]

    def look() -> bool:
        with suppress(OSError, ValueError):
            seen.append(house.shows(place))
        return agrees(cell, seen[-1])

    eventually(look, WITHIN_S, lambda: f"{when}: {place} shows {cell}, not {seen[-1]}")


@pytest.fixture
def house(
    start: Callable[..., Service],
    config: str,
    broker: Mosquitto,
    server: RedisProcess,
    device: SimulatedMeter,
) -> Iterator[House]:
    service = start(config)
    house = House(service, broker, server, device)
    eventually(lambda: service.readings() > 1, START_S, lambda: service.log)
    yield house
    house.device.stop()


@pytest.mark.parametrize("part", FAULTS_OF)
def test_every_place_shows_what_the_guide_says(house: House, part: str) -> None:
    expect(house, WELL, "before")
    for fault, injected in FAULTS_OF[part].items():
        with injected(house):
            expect(house, FAULTS[fault], fault)
        expect(house, WELL, f"after {fault}")


def test_however_redis_refuses_it_is_named(house: House) -> None:
    """Where the guide says so; meters are offline only after three intervals."""
    fault = "Redis refuses"
    said = {place: FAULTS[fault][place] for place in ("health", "doctor", "bridge/health")}
    for refusal in (redis_full, redis_forbids, redis_forbids_channels):
        with refusal(house):
            expect(house, said, f"{fault}: {refusal.__name__}")
        expect(house, {"health": WELL["health"]}, f"after {fault}")


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
    """Write the module `naps`; its task does not return while this file is there."""
    file = tmp_path / "waits"
    (tmp_path / "naps.py").write_text(NAP.format(file=file))
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
    """A task of a user's own holds the worker's only place, and does not return."""
    often = '[[schedules]]\nname = "nap"\ntask = "naps.nap"\nevery = 1\n'
    own = '[tasks]\nmodules = ["naps"]\n[worker]\nconcurrency = 1\n'
    service = start(f"{config}\n{often}{own}")
    house = House(service, broker, server, device, run=esquirell_process)
    eventually(lambda: service.readings() > 1, START_S, lambda: service.log)
    expect(house, WELL, "before")
    waits.touch()
    expect(house, FAULTS["due polls do not finish"], "due polls do not finish")
    waits.unlink()
    expect(house, WELL, "after due polls did not finish")
    assert service.stop() == 0


def test_every_fault_of_the_guide_is_injected_somewhere() -> None:
    injected = {fault for faults in FAULTS_OF.values() for fault in faults}
    assert set(FAULTS) == injected | ELSEWHERE | OF_THEIR_OWN
    assert all(set(table) == set(WELL) for table in FAULTS.values())
