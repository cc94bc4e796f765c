"""The demo's home: a temporary folder with a configuration, as a user would write it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from esquirell.demo.meters import SimulatedMeters
from esquirell.demo.plan import HOST, Plan
from esquirell.demo.servers import Servers
from esquirell.domain.record import record
from esquirell.settings.writing import to_toml

# They would override the demo's own configuration.
_FOREIGN_PREFIXES = ("ESQUIRELL_", "CELERY_")
_FOREIGN = ("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM")


@record
class Home:
    """The folder, readable by this user only, and the files in it."""

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "esquirell.toml"

    @property
    def state(self) -> Path:
        """The state directory of the service."""
        return self.folder / "data"

    @property
    def database(self) -> Path:
        return self.state / "esquirell.db"

    @property
    def redis_socket(self) -> Path:
        return self.state / "redis.sock"

    def log(self, name: str) -> Path:
        """Return the log file of a program."""
        return self.folder / f"{name}.log"

    def write(self, plan: Plan, servers: Servers, simulated: SimulatedMeters, zone: str) -> None:
        mqtt = {"host": HOST, "port": servers.port, "protocol": servers.broker.protocol}
        tables = {
            "timezone": zone,
            "state_dir": self.state.name,
            "redis": {"url": "embedded"},
            "mqtt": mqtt,
            "web": {"port": servers.page.port, "password": servers.page.password},
            "meters": [building.table() for building in simulated.buildings],
            "schedules": [{"name": "fetch", "every": plan.every}],
        }
        self.config.touch(mode=0o600)
        self.config.write_text(to_toml(tables), encoding="utf-8")

    def service(self) -> list[str]:
        return [sys.executable, "-P", "-m", "esquirell", "--config", str(self.config), "run"]


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Create the folder, and remove it with its contents at the end."""
    with tempfile.TemporaryDirectory(prefix="esquirell-", ignore_cleanup_errors=True) as folder:
        yield Home(Path(folder))


def own_environment() -> dict[str, str]:
    """Return the environment without variables that would change the configuration."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN_PREFIXES) and name not in _FOREIGN
    }
