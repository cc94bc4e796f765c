"""A machine with systemd as its first process, booted by a program that SYSTEMD_HARNESS names.

That program takes `boot NAME --suite S --net slirp --with PACKAGES`, `exec NAME COMMAND…`,
`copy NAME SOURCE FOLDER` and `stop NAME`.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from support.waiting import eventually

HARNESS = os.environ.get("SYSTEMD_HARNESS", "")
SERVERS = "redis-server mosquitto mosquitto-clients"
LIMIT_S = 900


class Machine:
    """One booted machine; commands run there as root."""

    def __init__(self, name: str, suite: str) -> None:
        self._name = name
        self.suite = suite

    def boot(self) -> None:
        self._harness(
            "boot", self._name, "--suite", self.suite, "--net", "slirp", "--with", SERVERS
        )
        self.run("echo 127.0.0.1 localhost $(hostname) >/etc/hosts")

    def stop(self) -> None:
        self._harness("stop", self._name)

    def copy(self, source: Path, folder: str) -> None:
        self._harness("copy", self._name, str(source), folder)

    def run(self, line: str) -> str:
        """Run a line of shell; return what it said. A failure ends the test."""
        return self._harness("exec", self._name, "bash", "-ec", line)

    def fails(self, line: str) -> str:
        """Run a line that has to fail; return what it said."""
        return self.run(f"if {line} 2>&1; then exit 1; fi")

    def show(self, unit: str) -> dict[str, str]:
        said = self.run(f"systemctl show {unit}")
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def is_up(self, unit: str = "esquirell") -> bool:
        facts = self.show(unit)
        return facts["ActiveState"] == "active" and facts["StatusText"].startswith("up as ")

    def comes_back(self, unit: str, but_not: str, within: float = 60) -> None:
        """Wait until a unit is up with another process than `but_not`."""

        def is_back() -> bool:
            return self.is_up(unit) and self.show(unit)["MainPID"] != but_not

        eventually(is_back, within, unit)

    def log(self, unit: str = "esquirell") -> str:
        return self.run(f"journalctl --unit {unit} --output cat --no-pager")

    def _harness(self, *arguments: str) -> str:
        done = _call([HARNESS, *arguments])
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
