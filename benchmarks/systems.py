"""The systems that are measured side by side, each started in the same way."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from benchmarks.devices import KEY, PROTOCOL, Device
from benchmarks.environments import ours
from benchmarks.peers import bridge, tuya2mqtt
from benchmarks.processes import Tree
from benchmarks.programs import Servers, ended, start
from benchmarks.service import service

REFERENCE = "reference loop"


class System(Protocol):
    """Something that reads meters; `tree` is what its CPU time and memory are taken from."""

    name: str
    tree: Tree

    def readings(self) -> int:
        """Count the readings so far."""
        ...


class Start(Protocol):
    """Starts a system that reads meters every so many seconds."""

    def __call__(
        self, folder: Path, servers: Servers, meters: Sequence[Device], every_s: int
    ) -> AbstractContextManager[System]:
        """Start it; it ends with the context. Raises MissingError."""
        ...


class Reference:
    """The reference loop."""

    name = REFERENCE

    def __init__(self, tree: Tree, database: Path) -> None:
        self.tree = tree
        self._database = database

    def readings(self) -> int:
        """Count the rows that it stored."""
        with closing(sqlite3.connect(self._database)) as connection:
            try:
                return int(connection.execute("SELECT count(*) FROM reading").fetchone()[0])
            except sqlite3.OperationalError:
                return 0


@contextmanager
def reference(
    folder: Path, servers: Servers, meters: Sequence[Device], every_s: int
) -> Iterator[Reference]:
    """Run the reference loop."""
    folder.mkdir(parents=True, exist_ok=True)
    setup = {
        "mqtt_port": servers.mqtt_port,
        "database": str(folder / "reference.db"),
        "every_s": every_s,
        "meters": [one._asdict() | {"key": KEY, "protocol": PROTOCOL} for one in meters],
    }
    (folder / "setup.json").write_text(json.dumps(setup), encoding="utf-8")
    process = start([ours(), "-m", "benchmarks.reference", str(folder / "setup.json")], folder)
    try:
        yield Reference(Tree(process.pid), folder / "reference.db")
    finally:
        ended(process)


SYSTEMS: dict[str, Start] = {
    "esquirell": service,
    REFERENCE: reference,
    "tuya2mqtt": tuya2mqtt,
    "pyrustuyabridge": bridge,
}
