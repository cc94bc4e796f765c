"""A real Redis on a free loopback port, to be stopped, killed and started again."""

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import redis
from support.ports import free_port
from support.waiting import LIMIT_S


class RedisProcess:
    def __init__(self, directory: Path, password: str = "", options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self._password = password
        self._options = options
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis.from_url(
            self.url, password=password or None, decode_responses=True
        )

    def start(self) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "install redis-server"
        locked = ["--requirepass", self._password] if self._password else []
        # Tests set the folder of the snapshots.
        protected = ["--enable-protected-configs", "yes"]
        options = [
            *locked,
            *protected,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
        ]
        self._process = subprocess.Popen(
            [program, *options, str(self._directory), "--loglevel", "warning", *self._options]
        )
        deadline = time.monotonic() + LIMIT_S
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Keep the connections, and do nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(LIMIT_S)
            self._process = None
        self.client.connection_pool.disconnect()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False
