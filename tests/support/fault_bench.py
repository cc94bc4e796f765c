"""Twenty simulated meters under a running service, and what became of each answer."""

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
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

DPS = {"101": 2361, "102": 600, "103": -140, "104": 99, "133": -140, "135": 50}


@dataclass(frozen=True)
class Result:
    """What was taken, by the simulators' own count, what is stored, and the longest pause."""

    fault: str
    taken: int
    stored: int
    pause_s: float | None

    @property
    def row(self) -> str:
        lost = self.taken - self.stored
        pause = "-" if self.pause_s is None else f"{self.pause_s:.1f} s"
        return f"| {self.fault} | {self.taken} | {self.stored} | {lost} | {pause} |"


@dataclass
class Bench:
    """A whole installation: servers, meters, and the processes of the service."""

    folder: Path
    roles: Sequence[str] = ("run",)
    database_url: str = ""
    state_dir: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)

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
        self.broker = Mosquitto(self.folder)
        self.meters = [
            SimulatedMeter(f"id-m{number}", KEY, "3.4", lambda: DPS) for number in range(METERS)
        ]
        self.redis.start()
        self.broker.start()
        for meter in self.meters:
            meter.start()
        self.services = {role: self._service(role) for role in self.roles}
        for service in self.services.values():
            service.environment = self.environment
            service.start()
        eventually(lambda: self.stored() >= METERS, LIMIT_S, "all meters are polled")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for service in self.services.values():
            service.kill()
        for meter in self.meters:
            meter.stop()
        self.broker.stop()
        self.redis.stop()

    @property
    def taken(self) -> int:
        """Count the answers of all meters."""
        return sum(meter.answers for meter in self.meters)

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

    def finish(self, fault: str) -> Result:
        """End as systemd does, then compare what was taken with what is stored."""
        for role in sorted(self.services, key=lambda role: role != "beat"):
            assert self.services[role].stop() == 0, self.services[role].log[-3000:]
        return Result(fault, self.taken, self.stored(), self._longest_pause())

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
        config = configuration(tables, mqtt_port=self.broker.port, redis_url=self.redis.url)
        lines = [f'state_dir = "{self._state}"', config]
        if self.database_url:
            lines.append(f'[database]\nurl = "{self.database_url}"')
        return Service(self.folder, "\n".join(lines), role, role)


Fault = Callable[[Bench], None]
