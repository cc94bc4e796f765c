"""A running `esquirell`, as a user would run it: a process with a configuration file."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from support.waiting import LIMIT_S, eventually

from esquirell.tuya.simulator import SimulatedMeter

KEY = "0123456789abcdef"
END_S = 60.0
PLAIN = (sys.executable, "-m", "esquirell")
# Its bridge looks for news ten times as often: for tests of what it sees, not of how soon.
QUICK = (sys.executable, "-P", str(Path(__file__).with_name("quick_esquirell.py")))

DPS = {"101": 2361, "103": -140, "131": 106421, "133": -484, "135": 50, "137": 14}


def simulated(name: str = "main", version: str = "3.4", port: int = 0) -> SimulatedMeter:
    meter = SimulatedMeter(f"id-{name}", KEY, version, lambda: DPS, port=port)
    meter.start()
    return meter


class Service:
    """One process of a role, with a folder of its own; `log` is what it wrote."""

    def __init__(
        self,
        folder: Path,
        config: str,
        role: str = "run",
        name: str = "run",
        program: Sequence[str] = PLAIN,
    ) -> None:
        self.folder = folder
        self.config = folder / "esquirell.toml"
        self.config.write_text(config)
        self.config.chmod(0o600)
        self.database = folder / "data" / "esquirell.db"
        self._program = program
        self._role = role
        self.environment: dict[str, str] = {}
        self._log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def program(self) -> Sequence[str]:
        """The program and the arguments in front of its own."""
        return self._program

    def start(self, output: int | None = None) -> None:
        """Start the process; what it writes goes to its log, or to a file descriptor."""
        command = [*self.program, "--config", str(self.config)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self._role.split()],
                stdout=log if output is None else output,
                stderr=log if output is None else output,
                env=os.environ | self.environment,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        code = self.process.wait(END_S)
        self.process = None
        return code

    def stop(self) -> int:
        """End as systemd does; return the exit code."""
        if self.process is None:
            return 0
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.wait()

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(self.database, timeout=LIMIT_S)) as connection:
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.OperationalError:
                return []

    def readings(self, meter: str = "main") -> int:
        query = "SELECT measured_at FROM reading JOIN meter ON id = meter_id WHERE name = ?"
        return len(self.rows(query, meter))

    def await_readings(self, count: int, meter: str = "main") -> None:
        """Wait until so many more readings of a meter are stored."""
        before = self.readings(meter)
        eventually(lambda: self.readings(meter) >= before + count, what=lambda: self.log)


def configuration(
    meters: Sequence[str], *, mqtt_port: int, redis_url: str = "embedded", every: int = 1
) -> str:
    lines = [
        'timezone = "UTC"',
        f'redis.url = "{redis_url}"',
        f"mqtt.port = {mqtt_port}",
        "web.port = 0",
        *meters,
        "[[schedules]]",
        'name = "fetch"',
        f"every = {every}",
    ]
    return "\n".join(lines)


def meter_table(name: str, port: int, key: str = KEY, protocol: str = "3.4") -> str:
    return "\n".join(
        [
            "[[meters]]",
            f'name = "{name}"',
            f'device_id = "id-{name}"',
            'address = "127.0.0.1"',
            f"port = {port}",
            f"local_key = '{key}'",
            f'protocol = "{protocol}"',
            'profile = "owon_pc321"',
        ]
    )
