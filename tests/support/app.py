"""The Home Assistant app as a process: what its container runs, with a Supervisor of the test's.

The addresses of Home Assistant's network can't be had here: those of the Supervisor, and the port
that all would share, are the test's own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.ingress import SUPERVISOR
from support.ports import free_port
from support.service import Service
from support.supervisor import TOKEN, FakeSupervisor

PROGRAM = """
from functools import partial
from esquirell.homeassistant import supervisor
supervisor.ADDRESS = {address!r}
from esquirell.daemon import following
following.ASK_EVERY_S = 0.2
from esquirell.services import control
control.RESTART_AGAIN_S = 0.0
from esquirell.web import server
server.IngressGate = partial(server.IngressGate, {peer!r})
server.INGRESS_PORT = {port}
from esquirell.__main__ import main
main()
"""


class App(Service):
    """`esquirell run` in a folder that is /data of the container."""

    def __init__(self, folder: Path, supervisor: FakeSupervisor, **options: Any) -> None:  # noqa: ANN401 - JSON is anything
        self.folder = self.data = folder / "data"
        self.data.mkdir(exist_ok=True)
        self.database = self.data / "esquirell.db"
        self.process: subprocess.Popen[bytes] | None = None
        self.ingress_port = free_port()
        self._home = folder
        self._log = folder / "app.log"
        self._supervisor = supervisor
        self.set_options(**options)

    def set_options(self, **options: Any) -> None:  # noqa: ANN401 - JSON is anything
        """Write the options, as the Supervisor does before each start."""
        (self.data / "options.json").write_text(json.dumps(options))

    @property
    def environment_of_app(self) -> dict[str, str]:
        """What the Supervisor and the image set."""
        own = {"SUPERVISOR_TOKEN": TOKEN, "STATE_DIRECTORY": str(self.data), "TZ": "Europe/Warsaw"}
        # A command with --config that a test called in this process has named that file to all.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ESQUIRELL_")}
        return inherited | own

    def start(self, output: int | None = None) -> None:
        address, port = self._supervisor.address, self.ingress_port
        program = PROGRAM.format(address=address, peer=SUPERVISOR, port=port)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "run"],
                stdout=log if output is None else output,
                stderr=log if output is None else output,
                env=self.environment_of_app,
                cwd=self._home,
            )

    def esquirell(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container."""
        return subprocess.run(
            [sys.executable, "-m", "esquirell", *words],
            env=self.environment_of_app,
            cwd=self._home,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
