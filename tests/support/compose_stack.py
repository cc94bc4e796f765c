"""A compose project in real containers, with names and ports of its own."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from support.compose import ROOT
from support.waiting import eventually

UP_S = 300.0

needs_docker = pytest.mark.skipif(
    "ESQUIRELL_DOCKER" not in os.environ, reason="make docker starts real containers"
)


class Stack:
    """One project beside whatever else runs on this engine, from the files in a folder."""

    def __init__(
        self,
        *files: str,
        folder: Path = ROOT,
        project: str = "esquirell-test",
        **environment: str,
    ) -> None:
        self._program = shutil.which("docker") or "docker"
        self._folder = folder
        self._project = project
        names = files or ("docker-compose.yml",)
        self._files = [word for name in names for word in ("-f", name)]
        own = {"MQTT_PUBLISH": "127.0.0.1:0", "FLOWER_PORT": "0", "WEB_PORT": "0"} | environment
        self._environment = os.environ | own

    @contextmanager
    def up(self) -> Iterator[None]:
        """Have everything up and healthy, and leave nothing behind."""
        self.compose("down", "--volumes")
        try:
            self.compose("up", "--detach", "--wait", "--wait-timeout", str(int(UP_S)))
            yield
        finally:
            self.compose("down", "--volumes")
        assert not self._left()

    def build(self) -> None:
        self.compose("build", "--quiet", "setup")

    def compose(self, *words: str) -> str:
        named = ["--project-name", self._project, *self._files]
        return self.docker("compose", "--env-file", ".env.example", *named, *words)

    def containers(self, service: str = "", *options: str) -> list[str]:
        found = self.compose("ps", "--quiet", *options, *([service] if service else []))
        return found.split()

    def inspect(self, container: str, what: str) -> str:
        return self.docker("inspect", "--format", what, container).strip()

    def healthy(self, service: str, count: int = 1) -> bool:
        found = [self.inspect(one, "{{.State.Health.Status}}") for one in self.containers(service)]
        return found == ["healthy"] * count

    def readings(self, meter: str, since: datetime, until: datetime | None = None) -> int:
        """Count what was stored of a meter between two moments, or since one."""
        words = ["esquirell", "--json", "readings", meter, "--since", since.isoformat()]
        end = ["--until", until.isoformat()] if until else []
        return len(json.loads(self.inside("worker", *words, *end)))

    def goes_on(self, meter: str = "house") -> bool:
        """Wait for readings of after now."""
        now = datetime.now(UTC)
        return bool(eventually(lambda: self.readings(meter, now) >= 3, 90, f"{meter} is read"))

    def inside(self, service: str, *words: str) -> str:
        return self.compose("exec", "-T", service, *words)

    def flower(self, page: str, password: str) -> Any:  # noqa: ANN401 - JSON
        """Ask Flower on this machine's port, as a browser with a password does."""
        where = self.compose("port", "flower", "5555").strip()
        login = base64.b64encode(f"esquirell:{password}".encode()).decode()
        request = Request(f"http://{where}{page}", headers={"Authorization": f"Basic {login}"})
        with urlopen(request, timeout=10) as answer:  # noqa: S310 - it is http
            return json.load(answer)

    def docker(self, *words: str) -> str:
        done = subprocess.run(
            [self._program, *words],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _left(self) -> list[str]:
        mine = ("--filter", f"name={self._project}_")
        volumes = self.docker("volume", "ls", "--quiet", *mine)
        networks = self.docker("network", "ls", "--quiet", *mine)
        return [*volumes.split(), *networks.split(), *self.containers("", "--all")]
