"""`esquirell scan`: the Tuya devices on the LAN."""

import threading
import time
from typing import TYPE_CHECKING

import click

from esquirell.cli.call import Between, Call, Command, pass_call
from esquirell.cli.output import print_json, print_table, warn
from esquirell.domain.record import record
from esquirell.profiles import product_titles

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Announcement

SECONDS = 10
"""Devices announce themselves every five seconds or so."""

COLUMNS = ("id", "address", "protocol", "product_id", "product")
NOTHING = (
    "no Tuya device was heard: check that this machine is on the same network as the devices (no "
    "guest Wi-Fi, no VLAN in between), that the firewall admits UDP 6666, 6667 and 7000, and that "
    "a container uses the host network; the Tuya app shows whether they are online"
)


@record
class ScanResult:
    """The devices that were heard, by id; `trouble` says which ports could not be opened."""

    devices: "dict[str, Announcement]"
    trouble: str


@click.command("scan", cls=Command)
@click.option(
    "--seconds",
    type=Between(1, 600),
    default=SECONDS,
    show_default=True,
    metavar="N",
    help="Listen for N seconds.",
)
@pass_call
def scan(call: Call, seconds: int) -> int:
    """List the Tuya devices that announce themselves on the LAN; nothing is configured.

    Exits with 1 if none was heard.
    """
    found = listen(seconds)
    rows = [described(device) for device in found.devices.values()]
    if call.json:
        print_json(rows)
    elif rows:
        print_table(COLUMNS, [[row[column] or "-" for column in COLUMNS] for row in rows])
    if found.trouble:
        warn(found.trouble)
    if not rows:
        warn(NOTHING)
    return 0 if rows else 1


def listen(seconds: int) -> ScanResult:
    """Listen for devices and show the progress. Raises UnavailableError if that is impossible."""
    # Both take longer to load than `--help` should.
    from rich.console import Console  # noqa: PLC0415

    from esquirell.runtime.unconfigured import Listener  # noqa: PLC0415 - only scans

    devices: dict[str, Announcement] = {}
    end = time.monotonic() + seconds
    with Listener() as listener, Console(stderr=True).status("Listening …") as progress:
        for heard in listener.listen(seconds, threading.Event()):
            if heard is not None:
                devices[heard.device_id] = heard
            left_s = max(end - time.monotonic(), 0)
            progress.update(
                f"Listening for Tuya devices: {len(devices)} found, {left_s:.0f} s left"
            )
        return ScanResult(dict(sorted(devices.items())), listener.trouble)


def described(device: "Announcement") -> dict[str, str]:
    """Describe a device with the title of its product, where a profile knows it."""
    return {
        "id": device.device_id,
        "address": device.address,
        "protocol": device.protocol,
        "product_id": device.product_id,
        "product": product_titles().get(device.product_id, ""),
    }
