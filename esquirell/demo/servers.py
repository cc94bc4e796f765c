"""The demo's own servers: which programs exist, and starting the MQTT broker."""

import errno
import importlib.util
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import field
from pathlib import Path
from typing import Literal

from esquirell.daemon.redis_server import find_redis, find_server
from esquirell.demo.child import Child, Guard
from esquirell.demo.plan import HOST, DemoError
from esquirell.domain.errors import ConfigError
from esquirell.domain.extras import install_command
from esquirell.domain.record import record

USUAL_PORTS = range(1883, 1903)
START_S = 10.0
PASSWORD_BYTES = 9


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
