"""esquirell as it is measured: processes of its roles, with a folder of their own."""

import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.devices import KEY, PORT, PROTOCOL, Device
from benchmarks.environments import ours
from benchmarks.processes import Tree
from benchmarks.programs import Servers, ended, start

WAIT_S = 10.0


class Service:
    """A running service; `readings` are those that it stored."""

    name = "esquirell"

    def __init__(self, folder: Path, processes: Sequence["subprocess.Popen[bytes]"]) -> None:
        self.folder = folder
        self.processes = processes
        self.tree = Tree(*(process.pid for process in processes))
        self.database = folder / "data" / "esquirell.db"

    def readings(self) -> int:
        """Count the readings stored so far."""
        return int(self.rows("SELECT count(*) FROM reading")[0][0]) if self._has_tables() else 0

    def rows(self, query: str) -> list[tuple[int, ...]]:
        """Ask the database."""
        address = f"file:{self.database}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=WAIT_S)) as connection:
            return connection.execute(query).fetchall()

    def _has_tables(self) -> bool:
        known = "SELECT count(*) FROM sqlite_master WHERE name = 'reading'"
        return self.database.exists() and bool(self.rows(known)[0][0])


@contextmanager
def service(
    folder: Path,
    servers: Servers,
    meters: Sequence[Device],
    every_s: int,
    roles: Sequence[str] = ("run",),
    settings: Sequence[str] = (),
) -> Iterator[Service]:
    """Run the roles, which poll `meters` every `every_s` seconds; 0 means never.

    `settings` are more lines of the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "esquirell.toml"
    config.write_text(configuration(servers, meters, every_s, settings), encoding="utf-8")
    config.chmod(0o600)
    command = [ours(), "-m", "esquirell", "--config", str(config)]
    processes = [
        start([*command, role], folder / f"{role}-{number}") for number, role in enumerate(roles)
    ]
    try:
        yield Service(folder, processes)
    finally:
        for process in processes:
            ended(process)


def configuration(
    servers: Servers, meters: Sequence[Device], every_s: int, settings: Sequence[str] = ()
) -> str:
    """Write what a user would, with as few settings as possible."""
    enabled = "true" if every_s else "false"
    lines = [
        'timezone = "UTC"',
        f'redis.url = "{servers.redis_url}"',
        f"mqtt.port = {servers.mqtt_port}",
        *settings,
        "[[schedules]]",
        f'name = "fetch"\nevery = {every_s or 60}\nenabled = {enabled}',
    ]
    return "\n".join([*lines, *map(_meter, meters)])


def _meter(device: Device) -> str:
    lines = [
        "[[meters]]",
        f'name = "{device.name}"',
        f'device_id = "{device.device_id}"',
        f'address = "{device.address}"',
        f"port = {PORT}",
        f"local_key = '{KEY}'",
        f'protocol = "{PROTOCOL}"',
        'profile = "owon_pc321"',
    ]
    return "\n".join(lines)
