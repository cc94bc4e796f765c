"""Twenty simulated meters under a running service, and what became of each answer."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import text
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import KEY, Service, configuration, meter_table
from support.waiting import eventually

from esquirell.domain.errors import UnavailableError
from esquirell.storage.database import Database
from esquirell.tuya.simulator import SimulatedMeter

METERS = 20
STEADY_S = 6.0
LIMIT_S = 60.0
# Within this time `health` names a fault, and takes it back when it is over.
NAMED_WITHIN_S = 30.0

FAULTS = Path(__file__).parents[1] / "faults"

# For how long the faults go on that come again and again: "ten minutes" is LOOP_S=600.
LOOP_S = float(os.environ.get("LOOP_S", "0"))
# What a process may have more of after ten minutes of them.
MORE_FILES, MORE_MIB, LOG_BYTES = 16, 6.0, 1024 * 1024

DPS = {"101": 2361, "102": 600, "103": -140, "104": 99, "133": -140, "135": 50}


@dataclass(frozen=True)
class Result:
    """What was taken, by the simulators' own count, what is stored, and the longest pause.

    `said` is what `esquirell health` said meanwhile; empty when it was not asked.
    """

    fault: str
    taken: int
    stored: int
    pause_s: float | None
    said: str = ""

    @property
    def row(self) -> str:
        lost = self.taken - self.stored
        pause = "-" if self.pause_s is None else f"{self.pause_s:.1f} s"
        said = self.said.replace("|", "/") or "-"
        return f"| {self.fault} | {self.taken} | {self.stored} | {lost} | {pause} | {said} |"


@dataclass
class Bench:
    """A whole installation: servers, meters, and the processes of the service."""

    folder: Path
    roles: Sequence[str] = ("run",)
    database_url: str = ""
    state_dir: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    broker_settings: Sequence[str] = ("allow_anonymous true",)
    # Ports that the service is given instead of the servers' own, such as those of proxies.
    redis_url: str = ""
    mqtt_port: int = 0
    prepared: Callable[["Bench"], None] | None = None
    # Whether to wait at the start until a reading of each meter is stored.
    stored_at_start: bool = True

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # An __enter__ that fails has no __exit__.
            stack.push(self)
            self._start()
            stack.pop_all()
        return self

    def _start(self) -> None:
        self.services: dict[str, Service] = {}
        self.redis = RedisProcess(self.folder)
        self.broker = Mosquitto(self.folder, self.broker_settings)
        self.meters = [_meter(number) for number in range(METERS)]
        self._taken_before = 0
        self.redis.start()
        self.broker.start()
        for meter in self.meters:
            meter.start()
        if self.prepared:
            self.prepared(self)
        self.services = {role: self._service(role) for role in self.roles}
        for service in self.services.values():
            service.environment = self.environment
            service.start()
        if self.services and self.stored_at_start:
            eventually(lambda: self.stored() >= METERS, LIMIT_S, "all meters are polled")

    def __exit__(self, *_: object) -> None:
        for service in self.services.values():
            service.kill()
        for meter in self.meters:
            meter.stop()
        self.broker.stop()
        self.redis.stop()

    @property
    def taken(self) -> int:
        """Count the answers of all meters."""
        return self._taken_before + sum(meter.answers for meter in self.meters)

    def replace_meters(self) -> None:
        """Put new meters in place of those that were stopped, at the same addresses."""
        self._taken_before = self.taken
        self.meters = [_meter(number, meter.port) for number, meter in enumerate(self.meters)]
        for meter in self.meters:
            meter.start()

    def start_into(self, log: int) -> None:
        """Start the service with its log going into a file descriptor."""
        self.services = {"run": self._service("run")}
        self.services["run"].environment = self.environment
        self.services["run"].start(log)
        eventually(lambda: self.stored() >= METERS, LIMIT_S, "all meters are polled")

    def stored(self) -> int:
        """Count the readings in the database; none while it can't be asked."""
        return int(str(self._ask("SELECT count(*) FROM reading") or 0))

    def steady(self, seconds: float = STEADY_S) -> None:
        """Let it run; here time is what is tested."""
        time.sleep(seconds)

    def grows(self, within: float = LIMIT_S) -> None:
        """Wait until each meter was read three more times."""
        goal = [meter.answers + 3 for meter in self.meters]
        eventually(
            lambda: all(m.answers >= g for m, g in zip(self.meters, goal, strict=True)), within
        )

    def restart(self, role: str, *, after_s: float = 2.0) -> None:
        """Kill a process as a power cut would, and start it as a supervisor does."""
        self.services[role].kill()
        time.sleep(after_s)
        self.services[role].start()

    def send(self, role: str, number: signal.Signals) -> None:
        self.services[role].signal(number)

    @property
    def process_id(self) -> int:
        """The process id of `run`."""
        process = self.services["run"].process
        assert process is not None
        return process.pid

    def health(self) -> tuple[int, str]:
        """Ask `esquirell health`; return its exit code and what it says."""
        config = str(self.folder / "esquirell.toml")
        command = [sys.executable, "-m", "esquirell", "--config", config, "health"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            env=os.environ | self.environment,
        )
        return done.returncode, (done.stderr or done.stdout).strip().removeprefix("esquirell: ")

    def named(self, words: str) -> str:
        """Wait until `health` fails with these words, a pattern; return what it says."""
        heard: list[tuple[int, str]] = []

        def look() -> bool:
            heard.append(self.health())
            code, said = heard[-1]
            return code == 1 and re.search(words, said, re.IGNORECASE) is not None

        eventually(look, NAMED_WITHIN_S, lambda: f"health says {words!r}, not {heard[-1]}")
        return heard[-1][1]

    def sound(self) -> None:
        """Wait until `health` says that all is well again."""
        heard: list[tuple[int, str]] = []

        def look() -> bool:
            heard.append(self.health())
            return heard[-1][0] == 0

        eventually(look, NAMED_WITHIN_S, lambda: f"health recovers: {heard[-1]}")

    def finish(self, fault: str, said: str = "") -> Result:
        """End as systemd does, then compare what was taken with what is stored."""
        for role in sorted(self.services, key=lambda role: role != "beat"):
            code = self.services[role].stop()
            assert code == 0, f"{role} ended with {code}: {self.services[role].log[-3000:]}"
        return Result(fault, self.taken, self.stored(), self._longest_pause(), said)

    def _longest_pause(self) -> float:
        pause = (
            "SELECT max(gap) FROM (SELECT measured_at - lag(measured_at) OVER "
            "(PARTITION BY meter_id ORDER BY measured_at) AS gap FROM reading) AS gaps"
        )
        found = self._ask(pause)
        return getattr(found, "total_seconds", lambda: float(str(found)) / 1000)()

    def _ask(self, query: str) -> object:
        database = Database(self.database_url or f"sqlite:///{self._state / 'esquirell.db'}")
        try:
            if database.file and not database.file.exists():
                return None
            with database.read() as connection:
                return connection.scalar(text(query))
        except UnavailableError:
            return None
        finally:
            database.close()

    @property
    def _state(self) -> Path:
        return self.state_dir or self.folder / "data"

    def _service(self, role: str) -> Service:
        tables = [meter_table(f"m{number}", meter.port) for number, meter in enumerate(self.meters)]
        config = configuration(
            tables,
            mqtt_port=self.mqtt_port or self.broker.port,
            redis_url=self.redis_url or self.redis.url,
        )
        lines = [f'state_dir = "{self._state}"', config]
        if self.database_url:
            lines.append(f'[database]\nurl = "{self.database_url}"')
        return Service(self.folder, "\n".join(lines), role, role)


def own_mib(pid: int) -> float:
    """Return the memory (MiB) that a process has allocated: the anonymous part of its PSS.

    The rest are pages of files, such as Python's, of which each process is charged a share: it
    grows by megabytes whenever another Python program on the machine ends.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Pss_Anon:")]
    return int(line.split()[1]) / 1024


def preloaded(folder: Path, name: str) -> dict[str, str]:
    """Build a library that stands between a process and the C library; return its environment."""
    library, source = folder / f"{name}.so", FAULTS / f"{name}.c"
    command = ["/usr/bin/gcc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library)}


def _meter(number: int, port: int = 0) -> SimulatedMeter:
    return SimulatedMeter(f"id-m{number}", KEY, "3.4", lambda: DPS, port=port)


def looped_s(usual_s: float) -> float:
    """Return for how long a fault goes on that comes again and again."""
    return LOOP_S or usual_s


@dataclass(frozen=True)
class Footprint:
    """What a process takes of the machine: open files, memory (MiB), bytes of its log."""

    files: int
    mib: float
    log_bytes: int

    def check(self, before: Self) -> None:
        """Fail if it has grown while a fault came again and again."""
        print(f"{before} -> {self}")  # noqa: T201 - the figures of a long run
        assert self.files - before.files <= MORE_FILES, (before, self)
        assert self.mib - before.mib <= MORE_MIB, (before, self)
        assert self.log_bytes - before.log_bytes <= LOG_BYTES, (before, self)


def footprint(bench: Bench) -> Footprint:
    pid = bench.process_id
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Footprint(files, own_mib(pid), len(bench.services["run"].log))


Fault = Callable[[Bench], None]


def nothing(_bench: Bench) -> None:
    """Do nothing: for an outage that ends by itself."""


@dataclass(frozen=True)
class Outage:
    """A fault that lasts: how it begins and ends, and what `health` says of it (a pattern).

    `says` is empty where all works on in spite of it. `may_miss` counts the readings that may
    be lost by it, `pause_s` is for how long it may hold up the polls of a meter.
    """

    begin: Fault
    end: Fault = nothing
    says: str = ""
    may_miss: int = 0
    lasts_s: float = 20.0
    pause_s: float | None = None


def check(bench: Bench, fault: str, inject: Fault, may_miss: int) -> Result:
    """Inject a fault that `health` need not name; return what was taken and stored."""
    bench.steady()
    inject(bench)
    bench.grows()
    bench.steady()
    result = bench.finish(fault)
    assert result.taken - may_miss <= result.stored <= result.taken, result.row
    return result


def endure(bench: Bench, name: str, outage: Outage) -> Result:
    """Run through an outage; return what was taken and stored, and what `health` said."""
    bench.steady(3)
    bench.sound()
    before = footprint(bench)
    started = time.monotonic()
    outage.begin(bench)
    said = bench.named(outage.says) if outage.says else ""
    bench.steady(max(outage.lasts_s - (time.monotonic() - started), 0))
    outage.end(bench)
    bench.grows()
    bench.sound()
    bench.steady(3)
    if LOOP_S:
        footprint(bench).check(before)
    result = bench.finish(name, said)
    assert result.taken - outage.may_miss <= result.stored <= result.taken, result.row
    if outage.pause_s is not None:
        assert result.pause_s is not None, result.row
        assert result.pause_s <= outage.pause_s, result.row
    return result
