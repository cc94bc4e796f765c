"""Simulated PC321 meters in processes of their own, which are not counted.

Each has a loopback address of its own and the usual port, as not all systems that are measured
can be told from another.
"""

import argparse
import itertools
import math
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import tuyamock

from benchmarks.programs import MissingError, ended, wait_until

PORT = 6668
PROTOCOL = "3.4"
KEY = "0123456789abcdef"
PER_PROCESS = 250
CHANGE_S = 0.5
# What a PC321 reports when the load changes: voltage, current and power of each phase, the sum.
REPORTED = ("101", "102", "103", "111", "112", "113", "121", "122", "123", "133")
# A loop over a thousand meters can take longer than the half minute after which real ones hang up.
IDLE_S = 120.0
NETWORKS = range(64, 240)
ADDRESSES = 65_536
START_S = 60.0


class Device(NamedTuple):
    """A simulated meter, and where it is."""

    name: str
    device_id: str
    address: str


@contextmanager
def devices(
    count: int, delay_s: float = 0.0, report_every_s: float = 0.0, log: Path | None = None
) -> Iterator[Sequence[Device]]:
    """Run `count` meters that take `delay_s` seconds for each answer.

    With `report_every_s` each also reports by itself, one after the other; `log` gets a line with
    the address of the meter and the moment (time.monotonic) of each report.
    """
    options = ["--delay", str(delay_s), "--report", str(report_every_s), "--log", str(log or "")]
    network = _free_network()
    addresses = [_address(network, number) for number in range(count)]
    with ExitStack() as stack:
        for first in range(0, count, PER_PROCESS):
            part = addresses[first : first + PER_PROCESS]
            stack.enter_context(_process(part, options))
        wait_until(lambda: all(_listens(one) for one in addresses[::PER_PROCESS]), START_S)
        wait_until(lambda: _listens(addresses[-1]), START_S)
        yield [_device(number, address) for number, address in enumerate(addresses)]


def _device(number: int, address: str) -> Device:
    return Device(f"m{number:04}", f"bfbench{number:015}", address)


def _address(network: int, number: int) -> str:
    # Neither .0 nor .255, though on the loopback network any would do.
    return f"127.{network}.{number // 250}.{number % 250 + 1}"


def _free_network() -> int:
    """Find a part of the loopback network on which nobody has meters. Raises MissingError."""
    for network in random.sample(NETWORKS, len(NETWORKS)):
        if not _listens(_address(network, 0)):
            return network
    raise MissingError(f"port {PORT} is taken on all addresses: end the program that listens there")


def _listens(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, PORT)) == 0


@contextmanager
def _process(addresses: Sequence[str], options: Sequence[str]) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.devices", *options, *addresses]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        ended(process)


def answer(moment_s: float, seed: int) -> Mapping[str, object]:
    """Return the 28 measuring datapoints of a PC321 at a moment; counters rise with it."""
    power = int(800 + 700 * math.sin(moment_s / 40 + seed))
    counted = int(moment_s * 0.0834) + 10_000 * seed % 1_000_000
    found: dict[str, object] = {
        "131": 3 * counted,
        "132": 3 * power * 1000 // 230,
        "133": 3 * power,
        "134": 90,
        "135": 50,
        "136": 231,
        "139": 30_000,
    }
    for number, phase in enumerate(("10", "11", "12")):
        found |= {
            f"{phase}1": 2300 + int(moment_s) % 40 + number,
            f"{phase}2": power * 1000 // 230,
            f"{phase}3": power,
            f"{phase}4": 98,
            f"{phase}5": 30,
            f"{phase}6": counted,
            f"{phase}7": 10_000,
        }
    return found


def serve(addresses: Sequence[str], delay_s: float, report_every_s: float, log: str) -> None:
    """Answer at these addresses until the process is ended, and report if that is wanted."""
    meters = [
        tuyamock.MockDevice(
            local_key=KEY,
            version=PROTOCOL,
            dps=answer(0.0, seed),
            host=address,
            port=PORT,
            response_delay=delay_s,
            idle_timeout=IDLE_S,
        )
        for seed, address in enumerate(addresses)
    ]
    for meter in meters:
        meter.start()
    began = time.monotonic()
    if report_every_s:
        with Path(log or os.devnull).open("a", buffering=1, encoding="utf-8") as reported:
            _report(meters, began, report_every_s, reported)
    while True:
        for seed, meter in enumerate(meters):
            meter.server.config.dps = answer(time.monotonic() - began, seed)
        threading.Event().wait(CHANGE_S)


def _report(
    meters: Sequence[tuyamock.MockDevice], began: float, every_s: float, log: TextIO
) -> None:
    """Let one meter after the other report what it measures, each every so many seconds."""
    for number in itertools.count():
        moment = began + number * every_s / len(meters)
        threading.Event().wait(max(0.0, moment - time.monotonic()))
        seed = number % len(meters)
        meter = meters[seed]
        meter.server.config.dps = answer(moment - began, seed)
        now = time.monotonic()
        if meter.push({dp: meter.server.config.dps[dp] for dp in REPORTED}):
            log.write(f"{meter.server.host} {now}\n")


def main() -> None:
    """Serve the addresses of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--report", type=float, default=0.0)
    parser.add_argument("--log", default="")
    parser.add_argument("addresses", nargs="+")
    given = parser.parse_args()
    serve(given.addresses, given.delay, given.report, given.log)


if __name__ == "__main__":
    main()
