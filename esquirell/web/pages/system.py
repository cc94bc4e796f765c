"""System: the health of each part, versions, and a backup to download."""

import platform
import socket
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from esquirell.web.command_page import CommandPage
from esquirell.web.handler import Handler

PACKAGES = ("esquirell", "celery", "celery-redbeat", "redis", "paho-mqtt", "sqlalchemy", "tinytuya")
BLOCK = 256 * 1024


class System(CommandPage):
    """The state of the whole service."""

    page = "system"

    async def get(self) -> None:
        """Show the state."""
        # The health check tries to write to the database, which may take long.
        answer = await self.run("health", {}, "devices")
        runtime = self.site.runtime
        size = await self.compute(lambda: _size(runtime.storage.database.file))
        self.render(
            "system.html",
            health=answer.data,
            trouble=answer.error or "",
            broker=self._broker(),
            database=runtime.storage.database.describe(),
            size=size,
            host=socket.gethostname(),
            versions=versions(),
            state_dir=runtime.settings.state_dir,
        )

    def _broker(self) -> Mapping[str, Any]:
        runtime = self.site.runtime
        mqtt = runtime.settings.mqtt
        return {
            "address": f"{mqtt.host}:{mqtt.port}",
            # The page alone, as a role of its own, has no bridge connection.
            "known": runtime.mqtt.bridges,
            "connected": runtime.mqtt.bridges and runtime.mqtt.connection.connected,
            "trouble": runtime.mqtt.connection.trouble if runtime.mqtt.bridges else "",
        }


class Backup(Handler):
    """A backup of everything on this machine, to download."""

    page = "system"

    async def post(self) -> None:
        """Create a backup and send it."""
        from esquirell.runtime.machine_backup import MachineBackup  # noqa: PLC0415 - it is rare

        runtime = self.site.runtime
        machine = MachineBackup(runtime.settings, runtime.upkeep)
        name = f"esquirell-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup"
        folder = await self.compute(
            lambda: tempfile.TemporaryDirectory(dir=runtime.settings.state_dir, prefix=".download-")
        )
        try:
            file = Path(folder.name) / name
            await self.compute(lambda: machine.write(file), "past")
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
            self.set_header("Content-Length", str(file.stat().st_size))
            blocks = _blocks(file)
            while block := await self.compute(lambda: next(blocks, b""), "past"):
                self.write(block)
                await self.flush()
        finally:
            await self.compute(folder.cleanup)


def versions() -> dict[str, str]:
    """Return the versions of the main packages."""
    found = {name: version(name) for name in PACKAGES}
    return found | {
        "tornado": version("tornado"),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while block := opened.read(BLOCK):
            yield block


def _size(file: Path | None) -> int | None:
    try:
        return file.stat().st_size if file else None
    except OSError:
        return None
