"""Programs that run beside the benchmark: servers, devices, the systems that are measured."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
START_S = 20.0
END_S = 20.0
LOOK_S = 0.02


class MissingError(Exception):
    """Something that a figure needs is not there; the sentence says what."""


class Servers(NamedTuple):
    """A Redis and an MQTT broker of this run alone."""

    redis: subprocess.Popen[bytes]
    redis_port: int
    mosquitto: subprocess.Popen[bytes]
    mqtt_port: int

    @property
    def redis_url(self) -> str:
        """Where Redis is."""
        return f"redis://127.0.0.1:{self.redis_port}/0"


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Run redis-server and mosquitto. Raises MissingError."""
    redis_port, mqtt_port = free_port(), free_port()
    # Redis holds nothing that must last: no snapshots, no log, as everywhere with esquirell.
    options = ["--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    redis = start([program("redis-server"), *options, "--loglevel", "warning"], folder / "redis")
    mosquitto = start([program("mosquitto"), "-p", str(mqtt_port)], folder / "mosquitto")
    try:
        for port in (redis_port, mqtt_port):
            wait_until(lambda port=port: accepts(port), START_S)  # type: ignore[misc]  # bound at once
        yield Servers(redis, redis_port, mosquitto, mqtt_port)
    finally:
        ended(redis)
        ended(mosquitto)


def program(name: str) -> str:
    """Find an installed program. Raises MissingError."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if not found:
        raise MissingError(f"{name} is not installed")
    return found


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a program in a folder of its own, where `log` is what it writes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )


def environment() -> dict[str, str]:
    """Return the environment for what is measured: with byte code, and this checkout's modules."""
    found = {key: value for key, value in os.environ.items() if not key.startswith("ESQUIRELL_")}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found | {"PYTHONPATH": str(ROOT)}


def ended(process: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, and end it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Find a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def accepts(port: int) -> bool:
    """Return whether something listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(look: Callable[[], bool], within_s: float) -> None:
    """Wait until it is so. Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{look} is not so within {within_s} s")
        time.sleep(LOOK_S)
