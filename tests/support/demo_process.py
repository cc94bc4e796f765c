"""A demo as a user starts it, seen from outside: its output, its database, its processes."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Self

from support.waiting import LIMIT_S, eventually

SERVERS = ("redis-server", "valkey-server", "mosquitto")
SUMMARY = re.compile(
    r"^(\d+) readings stored, (\d+) published in \d+ s(?: \(\d+ came while the service stopped: "
    r"stored only\))?; nothing is left behind$",
    re.MULTILINE,
)

# What is set for another esquirell on this machine.
FOREIGN = {"ESQUIRELL_MQTT__PORT": "1", "ESQUIRELL_NONSENSE": "1", "STATE_DIRECTORY": "/nowhere"}

# A machine on which the servers are not installed, and some packages are not, either.
WITHOUT = """
import shutil, sys

which = shutil.which
shutil.which = lambda name, *rest, **more: None if name in {servers} else which(name, *rest, **more)
sys.modules.update(dict.fromkeys({packages}))
"""


def demo_command(*options: str) -> list[str]:
    return [sys.executable, "-m", "esquirell", "demo", *options]


class Place:
    """A folder for temporary files of its own, by which all processes of a demo are found."""

    def __init__(self, hidden: Iterable[str] = (), without: Iterable[str] = ()) -> None:
        self._fake = WITHOUT.format(servers=set(hidden), packages=list(without))
        # Not pytest's: the socket of Redis lies in it, and its path has a limit of 107 bytes.
        self._place = tempfile.TemporaryDirectory(prefix="demo")
        self.folder = Path(self._place.name)
        self.tmp = self.folder / "tmp"
        self.environment = FOREIGN | {"TMPDIR": str(self.tmp), "PYTHONPATH": str(self.folder)}

    def __enter__(self) -> Self:
        self.tmp.mkdir()
        (self.folder / "sitecustomize.py").write_text(self._fake)
        return self

    def __exit__(self, *_: object) -> None:
        for pid in processes_of(self.tmp):
            os.kill(pid, signal.SIGKILL)
        self._place.cleanup()

    def leftovers(self) -> list[str]:
        """Name the files and processes that are left."""
        return [path.name for path in self.tmp.iterdir()] + list(processes_of(self.tmp).values())


class DemoProcess(Place):
    """A demo in the background, its output in files."""

    def __init__(
        self, *options: str, hidden: Iterable[str] = (), without: Iterable[str] = ()
    ) -> None:
        super().__init__(hidden, without)
        self._command = demo_command(*options)
        self._out, self._err = self.folder / "out", self.folder / "err"

    def __enter__(self) -> Self:
        super().__enter__()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                self._command, stdout=out, stderr=err, env=os.environ | self.environment
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(LIMIT_S)
        super().__exit__()

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def said(self, pattern: str) -> str:
        """Wait for a line of its output; return what the pattern's group holds."""
        found = eventually(lambda: re.search(pattern, self.out), what=f"{pattern} in {self.err}")
        assert found
        return found.group(1)

    @property
    def port(self) -> int:
        return int(self.said(r"on 127\.0\.0\.1:(\d+)\n"))

    def rows(self) -> list[dict[str, object]]:
        """Return all stored readings with the name of their meter."""
        with closing(
            sqlite3.connect(self.said(r"Database: (.*)\n"), timeout=LIMIT_S)
        ) as connection:
            connection.row_factory = sqlite3.Row
            query = "SELECT name, reading.* FROM reading JOIN meter ON id = meter_id"
            return [dict(row) for row in connection.execute(query)]

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        return self.process.wait(LIMIT_S)

    def counted(self) -> tuple[int, int]:
        """Return what the summary says was stored and published."""
        found = SUMMARY.search(self.out)
        assert found, self.out + self.err
        return int(found.group(1)), int(found.group(2))


def processes_of(tmp: Path) -> dict[int, str]:
    """Find the processes that use this folder for temporary files, by their ids."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            line = _read(folder / "cmdline").replace(b"\0", b" ").decode(errors="replace")
            # Redis writes its title over its environment.
            if str(tmp) in line or f"TMPDIR={tmp}\0".encode() in _read(folder / "environ"):
                found[int(folder.name)] = line
    return found


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has just ended, or is another user's
        return b""
