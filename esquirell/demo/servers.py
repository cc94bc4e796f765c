"""The demo's own servers, and programs that run beside it, ended also when it is killed."""

import errno
import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import field
from pathlib import Path
from typing import Literal, Self

from esquirell.daemon.redis_server import find_redis, find_server
from esquirell.demo.plan import HOST, DemoError
from esquirell.domain.errors import ConfigError
from esquirell.domain.extras import install_command
from esquirell.domain.record import record

LAST_LINES = 12

# Reads process ids until the demo, which holds the other end of the pipe, is gone. The last is the
# service's, which needs some seconds to end itself and its own Redis.
_WAIT_FOR_THE_END = """
while read -r pid; do pids="$pids $pid"; last=$pid; done
[ -z "$pids" ] || kill $pids
for second in 1 2 3 4 5 6 7 8 9 10; do kill -0 $last && sleep 1; done
rm -rf -- "$1"
"""

USUAL_PORTS = range(1883, 1903)
START_S = 10.0
PASSWORD_BYTES = 9


class Guard:
    """A shell that does nothing unless the demo is killed: then it cleans up."""

    def __init__(self, folder: Path) -> None:
        self._command = ["/bin/sh", "-c", _WAIT_FOR_THE_END, "esquirell-demo", str(folder)]

    def watch(self, pid: int) -> None:
        """Register a process to end when the demo is gone."""
        assert self._process.stdin is not None  # noqa: S101 - asked for below; for the type checker
        self._process.stdin.write(b"%d\n" % pid)
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell: the demo has cleaned up itself."""
        with self._process:
            self._process.terminate()


class Child:
    """A program with a log file, in its own session: Ctrl-C reaches the demo only.

    It runs inside the `with` block; `end_s` is how many seconds it has to end.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        guard: Guard,
        *,
        environment: Mapping[str, str] | None = None,
        end_s: float = 5.0,
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._guard = guard
        self._environment = environment
        self._end_s = end_s

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while the program runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Return the last lines of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        return "".join(lines[-LAST_LINES:])

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        return self

    def __exit__(self, *_: object) -> None:
        """Ask the program and its children to end; kill them if they do not."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(self._end_s)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@record
class Broker:
    """A broker program, its command, and the MQTT version it speaks."""

    program: str
    command: tuple[str, ...]
    protocol: Literal["5", "3.1.1"]


@record
class Page:
    """Where the page is, and its password."""

    port: int
    password: str = field(repr=False)

    @property
    def address(self) -> str:
        """The URL to open on this machine."""
        return f"http://{HOST}:{self.port}/"


@record
class Servers:
    """What the demo runs on; `redis` is the program that `esquirell run` starts by itself."""

    redis: str
    broker: Broker
    port: int
    page: Page


def choose_servers(wanted_port: int | None) -> Servers:
    """Find the programs, installed ones first, and a port for the broker. Raises DemoError."""
    port = choose_port(wanted_port)
    redis, broker = _redis(), _broker(port)
    if redis and broker:
        return Servers(redis, broker, port, _page())
    missing = [
        name for name, found in (("Redis server", redis), ("MQTT broker", broker)) if not found
    ]
    raise DemoError(
        f"the demo finds no {' and no '.join(missing)} on this machine: "
        f"install both with {install_command('demo')}, or sudo apt install redis-server mosquitto"
    )


def _page() -> Page:
    """Choose a free port and a password for the page."""
    with closing(socket.create_server((HOST, 0))) as probe:
        port = int(probe.getsockname()[1])
    return Page(port, secrets.token_urlsafe(PASSWORD_BYTES))


def choose_port(wanted: int | None) -> int:
    """Return the requested port, else the first free one of the usual ones.

    Raises DemoError when there is none.
    """
    if wanted is None:
        wanted = next((port for port in USUAL_PORTS if not _obstacle(port)), None)
        if wanted is None:
            first, last = USUAL_PORTS[0], USUAL_PORTS[-1]
            raise DemoError(f"the ports {first} to {last} are in use: name a free one with --port")
    elif obstacle := _obstacle(wanted):
        raise DemoError(f"port {wanted} can't be used ({obstacle}): name another one with --port")
    return wanted


@contextmanager
def running_broker(servers: Servers, log: Path, guard: Guard) -> Iterator[Child]:
    """Run the broker. Raises DemoError when it does not accept connections."""
    name = f"the MQTT broker {servers.broker.program}"
    with Child(name, servers.broker.command, log, guard) as child:
        if not _listens(child, servers.port):
            sentence = f"{name} does not start on port {servers.port}"
            raise DemoError(sentence, child.last_words())
        yield child


def _listens(child: Child, port: int) -> bool:
    """Wait until connections are accepted; False when the program ended or time is over."""
    deadline = time.monotonic() + START_S
    while child.exit_code is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.02)
    return False


def _redis() -> str | None:
    try:
        return find_redis()
    except ConfigError:
        return None


def _broker(port: int) -> Broker | None:
    if program := find_server(("mosquitto",)):
        # Without a configuration file mosquitto keeps nothing and serves this machine alone
        # (mosquitto(8), since 2.0); where AppArmor confines it, it could not read one of ours.
        return Broker(program, (program, "-p", str(port)), "5")
    if importlib.util.find_spec("iotcore") is None:
        return None
    command = (sys.executable, "-P", "-m", "esquirell.demo.bundled_broker", str(port))
    return Broker("iotcore (Python package)", command, "3.1.1")


def _obstacle(port: int) -> str | None:
    """Return why nothing can listen on a port of this machine."""
    for family, address in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")):
        try:
            socket.create_server((address, port), family=family).close()
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return os.strerror(error.errno)
    return None
