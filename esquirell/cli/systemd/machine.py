"""The machine's systemd: commands and queries."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from esquirell.cli.systemd.layout import Layout
from esquirell.domain.errors import EsquirellError

LIMIT_S = 60.0
# A start may bring the tables of the database up to date first.
START_LIMIT_S = 700.0

ALL_IN_ONE = "esquirell.service"
APART = "esquirell.target"
FLOWER = "esquirell-flower.service"
ROLES = (
    "esquirell-worker.service",
    "esquirell-beat.service",
    "esquirell-bridge.service",
    "esquirell-web.service",
)
# It exists where systemd runs: see sd_booted(3).
BOOTED = Path("/run/systemd/system")
UNITS = (ALL_IN_ONE, APART, "esquirell-migrate.service", *ROLES, FLOWER)


class Machine:
    """Talks to systemd; for a system that is only being prepared it changes files only."""

    def __init__(self, layout: Layout) -> None:
        self._prepared = layout.root != Path("/")
        self._root = [f"--root={layout.root}"] if self._prepared else []

    def make_users_and_folders(self) -> None:
        """Create the service's user and folders, and set their owners."""
        _run("systemd-sysusers", *self._root, "esquirell.conf")
        _run("systemd-tmpfiles", *self._root, "--create", "esquirell.conf")

    def reload(self) -> None:
        """Have systemd reread the units."""
        if not self._prepared:
            _run("systemctl", "daemon-reload")

    def enable(self, unit: str) -> None:
        """Make a unit start with the machine."""
        _run("systemctl", *self._root, "--quiet", "enable", unit)

    def disable(self, units: Sequence[str]) -> None:
        """Stop units from starting with the machine; missing ones are ignored."""
        _try("systemctl", *self._root, "--quiet", "disable", *units)

    def enabled(self, unit: str) -> bool:
        """Return whether a unit starts with the machine."""
        return _try("systemctl", *self._root, "--quiet", "is-enabled", unit)

    def active(self, unit: str) -> bool:
        """Return whether a unit runs."""
        return not self._prepared and _try("systemctl", "--quiet", "is-active", unit)

    def restart(self, unit: str) -> None:
        """Restart a unit, and wait until it is ready. Raises EsquirellError."""
        _try("systemctl", "reset-failed", unit)
        _run("systemctl", "restart", unit, limit_s=START_LIMIT_S)

    def stop(self, units: Sequence[str]) -> None:
        """Stop units, and wait for their end."""
        if not self._prepared:
            _try("systemctl", "stop", *units)

    def remove_user(self) -> None:
        """Remove the service's user."""
        if not self._prepared:
            _try("userdel", "esquirell")

    def show(self, unit: str) -> Mapping[str, str]:
        """Return what systemd knows about a unit. Raises EsquirellError."""
        keys = "LoadState,UnitFileState,ActiveState,SubState,StatusText,NRestarts"
        lines = _run("systemctl", "show", f"--property={keys}", unit).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def _try(*command: str) -> bool:
    """Run a command whose failure is an answer as well."""
    try:
        _run(*command)
    except EsquirellError:
        return False
    return True


def _run(*command: str, limit_s: float = LIMIT_S) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except FileNotFoundError as error:
        raise EsquirellError(f"{command[0]} is missing: this machine has no systemd") from error
    except subprocess.TimeoutExpired as error:
        raise EsquirellError(f"{' '.join(command)} took longer than {limit_s:.0f} s") from error
    if done.returncode:
        if command[0] == "systemctl" and not BOOTED.is_dir():
            raise EsquirellError("this machine does not run systemd: start esquirell run instead")
        reason = done.stderr.strip().replace("\n", " ") or f"exit code {done.returncode}"
        raise EsquirellError(f"{' '.join(command)} failed: {reason}")
    return done.stdout
