"""The command line as its users call it, in this process or in one of its own."""

import contextlib
import io
import json
import logging
import shutil
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support.service import meter_table

from esquirell.cli.errors import run
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings

LIMIT_S = 60.0


class Said(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of tab-separated lines."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def sentence(self) -> str:
        """The one sentence of an error."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("esquirell: ")
        return line.removeprefix("esquirell: ")


def esquirell(*arguments: str) -> Said:
    """Call the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    ours = logging.getLogger("esquirell")
    level = ours.level
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    # `--debug` is for the process, which a command has to itself elsewhere.
    ours.setLevel(level)
    return Said(code, out.getvalue(), err.getvalue())


def esquirell_process(*arguments: str, folder: Path | None = None) -> Said:
    """Call the command line in a process of its own, its output piped."""
    command = [sys.executable, "-m", "esquirell", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return Said(done.returncode, done.stdout, done.stderr)


def findings() -> dict[str, tuple[str, str, str | None]]:
    """Return mark, message and remedy of each check; the worse, where there are several."""
    told = esquirell("doctor", "--json")
    found = {}
    for one in sorted(told.json, key=lambda one: (one["ok"], one["remedy"] is None), reverse=True):
        assert [*one] == ["check", "ok", "message", "remedy"]
        mark = "fault" if not one["ok"] else "advice" if one["remedy"] else "fine"
        found[one["check"]] = (mark, one["message"], one["remedy"])
    assert told.code == (1 if any(mark == "fault" for mark, *_ in found.values()) else 0)
    return found


class Home:
    """A working directory with a configuration and, if `store` is called, a database."""

    def __init__(self, path: Path, tables: Path) -> None:
        self.path = path
        self.config = path / "esquirell.toml"
        self.database = path / "data" / "esquirell.db"
        self._tables = tables

    def configure(self, *meters: str, **servers: str | int) -> None:
        """Write a configuration: keys such as `redis__url` for redis.url, and `[[meters]]`."""
        keys = {"mqtt__port": 1, "redis__url": "redis://127.0.0.1:1/0"} | servers
        lines = [f"{key.replace('__', '.')} = {json.dumps(value)}" for key, value in keys.items()]
        self.write("\n".join(['timezone = "Europe/Warsaw"', *lines, *meters]))

    def write(self, toml: str) -> None:
        self.config.write_text(toml)
        self.config.chmod(0o600)

    def store(
        self, readings: Sequence[Reading] = (), statuses: Mapping[str, MeterStatus] | None = None
    ) -> None:
        if not self.database.exists():
            self.database.parent.mkdir(mode=0o700)
            shutil.copy(self._tables, self.database)
            self.database.chmod(0o600)
        database = Database(f"sqlite:///{self.database}")
        Readings(database).add(readings, statuses or {})
        database.close()

    @property
    def files(self) -> set[str]:
        return {str(path.relative_to(self.path)) for path in self.path.rglob("*")}


def meter(name: str = "main", port: int = 0, **changes: str) -> str:
    """Write the table of a meter; `changes` are lines for keys, by their names.

    Without a port nothing listens there, and no other meter is there either.
    """
    nobody = 1 if name == "main" else 2 + zlib.crc32(name.encode()) % 900
    lines = meter_table(name, port or nobody).splitlines()
    kept = [line for line in lines if line.partition(" = ")[0] not in changes]
    return "\n".join([*kept, *(line for line in changes.values() if line)])
