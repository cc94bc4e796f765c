"""The guided part of `esquirell init` that asks the Tuya cloud for a key or for all devices."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from esquirell.cli.output import say, warn
from esquirell.domain.errors import MeterError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.settings import CloudSettings, environment, private_files

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Cloud

_REGIONS = get_args(CloudSettings.model_fields["region"].annotation)


def key_of(device_id: str) -> str | None:
    """Return the local key of a device from the cloud; None, with a warning, if it has none."""
    meter = Meter(name="new", device_id=device_id, transport="cloud")
    try:
        with _cloud() as cloud:
            key = cloud.local_key(meter)
    except MeterError as error:
        warn(str(error))
        return None
    return key if len(key) == LOCAL_KEY_LENGTH else None


def write_devices(file: Path) -> None:
    """Write all devices of an account as tinytuya's wizard does, readable by the owner only.

    Raises ConfigError and MeterUnreachableError (`cloud_error`).
    """
    say("Asking the Tuya cloud for the devices of an account")
    with _cloud() as cloud:
        listed = cloud.devices()
    private_files.write({file: json.dumps(listed, indent=4, ensure_ascii=False)})


@contextmanager
def _cloud() -> Iterator["Cloud"]:
    """Return the cloud of the account given by the environment, else asked for."""
    from esquirell.runtime.unconfigured import cloud  # noqa: PLC0415 - only who asks needs it

    given = {
        assignment.key: assignment.value
        for assignment in environment.read(os.environ)
        if assignment.table == ("cloud",)
    }
    region = given.get("region") or click.prompt(
        "Data center", default="eu", type=click.Choice(_REGIONS)
    )
    access_id = given.get("api_key") or click.prompt("Access ID of the project")
    secret = given.get("api_secret") or click.prompt(
        "Access Secret of the project", hide_input=sys.stdin.isatty()
    )
    with tempfile.TemporaryDirectory() as folder:
        yield cloud(region, access_id, secret, given.get("url", ""), Path(folder))
