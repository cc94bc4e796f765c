"""The guided part of `esquirell init`: from a search of the network to the first reading."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from esquirell.cli import cloud_account
from esquirell.cli.output import print_lines, print_table, warn
from esquirell.cli.scan import COLUMNS, NOTHING, SECONDS, described, listen
from esquirell.domain.errors import ConfigError, EsquirellError, MeterError
from esquirell.domain.meter import Meter
from esquirell.profiles import Choices
from esquirell.settings.devices import key_of

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Announcement

DEVICES = Path("devices.json")


def choose() -> "Announcement | None":
    """Search the network and let the user choose a device; None when there is none to choose."""
    try:
        found = listen(SECONDS)
    except EsquirellError as error:
        warn(str(error))
        return None
    devices = list(found.devices.values())
    if not devices:
        warn(found.trouble or NOTHING)
        return None
    rows = [described(device) for device in devices]
    cells = [[str(number), *row.values()] for number, row in enumerate(rows, 1)]
    print_table(("no.", *COLUMNS), cells)
    number = click.prompt("Which one (0: none of them)", type=click.IntRange(0, len(devices)))
    return devices[number - 1] if number else None


def known_key(device_id: str) -> str | None:
    """Look for the local key of a device: in a devices.json that lies here, or in the cloud."""
    key = _listed_key(device_id)
    if key:
        click.echo(f"Local key: taken from {DEVICES}")
        return key
    if click.confirm("Ask the Tuya cloud for its local key?", default=False):
        return cloud_account.key_of(device_id)
    return None


def try_out(meter: Meter) -> None:
    """Read a meter once and show what it says, or why it says nothing."""
    from esquirell.runtime.unconfigured import (  # noqa: PLC0415 - only who tries needs it
        local_transport,
    )

    click.echo(f"Reading {meter.name} …")
    with tempfile.TemporaryDirectory() as folder:
        transport = local_transport(Path(folder))
        try:
            _show(meter, dict(transport.read(meter)))
        except MeterError as error:
            warn(f"{error}; esquirell meters test {meter.name} tries again later")
        finally:
            transport.close()


def _show(meter: Meter, dps: dict[str, object]) -> None:
    values = Choices().decode(meter, dps).values
    shown = values or dps
    print_lines((name, json.dumps(value)) for name, value in shown.items())
    click.echo(f"{meter.name} answers.")


def _listed_key(device_id: str) -> str | None:
    try:
        return key_of(DEVICES, device_id)
    except ConfigError:
        return None
