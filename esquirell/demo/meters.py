"""Simulated meters for docker compose, and the configuration to read them.

`python -m esquirell.demo.meters FOLDER --host NAME` serves them until it is stopped. Meanwhile
FOLDER contains an `esquirell.toml`; keys and counters continue after a restart.
"""

import argparse
import logging
import os
import secrets
import signal
import string
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from esquirell import whole_file
from esquirell.daemon.signals import flag_of
from esquirell.demo.plan import HOST, DemoError, Plan
from esquirell.domain.meter import LOCAL_KEY_LENGTH, ProtocolVersion
from esquirell.domain.record import record
from esquirell.runtime.unconfigured import SimulatedMeter, simulated_meter
from esquirell.settings.writing import to_toml

log = logging.getLogger(__name__)

FIRST_PORT = 6668
LAST_PORT = 65535
PROTOCOLS = ("3.3", "3.4", "3.5")
EVERY_S = 5
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - in a container, for the others on its network
LISTENING = "0A"  # proc_pid_net(5), as include/net/tcp_states.h numbers it

CONFIGURATION = "esquirell.toml"
KEPT = "meters.toml"
# Its time of change is when a meter last answered.
ALIVE = "alive"
NAMES = ("house", "workshop", "barn", "garage", "stable", "cottage", "greenhouse", "shed")

ANY_PORT = 0
PRODUCT_ID = "gqmmtjclqb7reg5p"  # OWON PC321-W-TY


def main() -> int:
    """Serve simulated meters, or check that they are served."""
    parser = argparse.ArgumentParser(prog="python -m esquirell.demo.meters")
    parser.add_argument("folder", type=Path, help="where the configuration and the keys go")
    parser.add_argument(
        "--host", default="localhost", help="the host name under which others reach them"
    )
    parser.add_argument(
        "--port",
        type=int,
        choices=range(1, LAST_PORT - len(PROTOCOLS) + 2),
        metavar="N",
        help=f"the port of the first meter; the others follow ({FIRST_PORT}, or as last time)",
    )
    parser.add_argument("--check", action="store_true", help="exit with 0 if they are served")
    call = parser.parse_args()
    if call.check:
        return 0 if served(call.folder) else 1
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ended = flag_of((signal.SIGTERM, signal.SIGINT))
    try:
        with serving(call.folder, call.host, call.port):
            ended.wait()
    except DemoError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    return 0


@contextmanager
def serving(folder: Path, host: str, port: int | None = None) -> Iterator[Mapping[str, Any]]:
    """Serve meters that others reach at `host`; yield the configuration. Raises DemoError."""
    tables, began = prepare(folder, host)
    alive = folder / ALIVE
    alive.touch()
    configuration = folder / CONFIGURATION
    with ExitStack() as stack:
        for number, table in enumerate(tables["meters"]):
            if port is not None:
                table["port"] = port + number
            meter = _meter(number, table, began, alive)
            _start(meter)
            stack.callback(meter.stop)
        whole_file.replace(configuration, to_toml(tables).encode())
        stack.callback(configuration.unlink, missing_ok=True)
        log.info("%d simulated meters are read every %d s", len(tables["meters"]), EVERY_S)
        yield tables


def served(folder: Path) -> bool:
    """Return whether the meters are up, without using the one connection that each has."""
    try:
        tables = tomllib.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return {table["port"] for table in tables["meters"]} <= ports_in_use()


def prepare(folder: Path, host: str) -> tuple[dict[str, Any], float]:
    """Return the meters, created if there are none, and when that was (Unix time).

    Raises DemoError when the folder can't be used.
    """
    file = folder / KEPT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tables = _kept(file) or create(file, host)
        return tables, _began(file, folder / ALIVE)
    except OSError as error:
        raise DemoError(
            f"{error.filename or folder}: {error.strerror}: name another folder"
        ) from error


def _began(file: Path, alive: Path) -> float:
    """Return when the meters began (Unix time); while they did not run, their time stood still.

    Otherwise the energy of hours, as a day passes in ten minutes, would come in one step.
    """
    began = file.stat().st_mtime
    if alive.exists():
        began += max(0.0, time.time() - alive.stat().st_mtime)
        os.utime(file, (began, began))
    return began


def _start(meter: SimulatedMeter) -> None:
    try:
        meter.start()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise DemoError(
            f"a simulated meter can't listen on port {meter.port}: {reason}: "
            "stop what uses the port, or name others with --port"
        ) from error


def _kept(file: Path) -> dict[str, Any] | None:
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def create(file: Path, host: str) -> dict[str, Any]:
    """Return new meters, kept in `file`; others reach them at `host`."""
    meters = [_table(number, host) for number in range(len(PROTOCOLS))]
    tables = {"meters": meters, "schedules": [{"name": "fetch", "every": EVERY_S}]}
    whole_file.replace(file, to_toml(tables).encode())
    return tables


def _table(number: int, host: str) -> dict[str, Any]:
    return {
        "name": NAMES[number],
        "label": NAMES[number].capitalize(),
        "device_id": f"bfdemo{number + 1:016d}",
        "address": host,
        "port": FIRST_PORT + number,
        "local_key": new_key(),
        "protocol": PROTOCOLS[number],
        "product_id": PRODUCT_ID,
    }


def _meter(number: int, table: Mapping[str, Any], began: float, alive: Path) -> SimulatedMeter:
    def elapsed_s() -> float:
        alive.touch()
        return max(0.0, time.time() - began)

    return simulated_meter(
        (table["device_id"], table["local_key"], table["protocol"]),
        number,
        elapsed_s,
        (ANY_ADDRESS, table["port"]),
    )


def ports_in_use() -> set[int]:
    """Return the TCP ports with a listener in this network namespace (IPv4)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENING}


@record
class Building:
    """One building and the meter at its mains connection."""

    name: str
    device_id: str
    key: str
    protocol: ProtocolVersion
    meter: SimulatedMeter

    def table(self) -> dict[str, Any]:
        """Return the meter's table as in a configuration."""
        return {
            "name": self.name,
            "label": self.name.capitalize(),
            "device_id": self.device_id,
            "address": HOST,
            "port": self.meter.port,
            "local_key": self.key,
            "protocol": self.protocol,
            "product_id": PRODUCT_ID,
            # So that the summary counts as many published as stored, except for the last moments.
            "store_every": 0,
        }


class SimulatedMeters:
    """All simulated meters; they answer inside the `with` block."""

    def __init__(self, plan: Plan) -> None:
        self.buildings = [_building(number, plan.protocol) for number in range(plan.meters)]

    @property
    def names(self) -> list[str]:
        return [building.name for building in self.buildings]

    def __enter__(self) -> Self:
        """Start all meters. Raises DemoError."""
        try:
            for building in self.buildings:
                building.meter.start()
        except OSError as error:
            raise DemoError(
                f"a simulated meter can't listen on {HOST}: {error.strerror}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        for building in self.buildings:
            building.meter.stop()


def _building(number: int, protocol: ProtocolVersion) -> Building:
    name = NAMES[number] if number < len(NAMES) else f"house{number + 1}"
    device_id = f"bfdemo{number + 1:016d}"
    key = new_key()
    began = time.monotonic()
    meter = simulated_meter(
        (device_id, key, protocol), number, lambda: time.monotonic() - began, (HOST, ANY_PORT)
    )
    return Building(name, device_id, key, protocol, meter)


def new_key() -> str:
    """Generate a local key."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(LOCAL_KEY_LENGTH))


if __name__ == "__main__":
    sys.exit(main())
