"""Keys and lists of devices from an account at Tuya: of the app, or of a project for developers."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from esquirell.cli.call import OneOf, required, something
from esquirell.cli.output import say, warn
from esquirell.domain.errors import MeterError, MeterUnreachableError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.settings import CloudSettings, environment, private_files

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import AppAccount, AppLogin, Cloud

Way = Literal["app", "cloud"]

_REGIONS = get_args(CloudSettings.model_fields["region"].annotation)
_APP_URL = CloudSettings().app_url
USER_CODE = (
    "In the app Tuya Smart or Smart Life, in which the meter is paired: Me > the settings (at the "
    "top) > Account and Security > User Code."
)
SCAN = (
    "Scan this with the app (Me > the scanner at the top) and confirm. The app speaks of a login "
    "of Home Assistant: Tuya knows this way by that name only. The permission is given back as "
    "soon as the list is here."
)
ASK_AGAIN_S = 2.0
# Tuya's QR codes are valid for five minutes.
VALID_S = 300.0


def key_of(device_id: str, way: Way) -> str | None:
    """Return the local key of a device; None, with a warning, if the account has none."""
    try:
        key = _app_key_of(device_id) if way == "app" else _cloud_key_of(device_id)
    except MeterError as error:
        warn(str(error))
        return None
    if key and len(key) != LOCAL_KEY_LENGTH:
        warn(f"the account has a key of {len(key)} characters: those of meters have 16")
    return key if len(key) == LOCAL_KEY_LENGTH else None


def write_devices(file: Path, way: Way) -> None:
    """Write all devices of an account as tinytuya's wizard does, readable by the owner only.

    Raises ConfigError and MeterUnreachableError (`cloud_error`).
    """
    if way == "app":
        listed = devices_of_the_app()
    else:
        say("Asking the Tuya cloud for the devices of an account")
        with _cloud() as cloud:
            listed = cloud.devices()
    private_files.write({file: json.dumps(listed, indent=4, ensure_ascii=False)})


def devices_of_the_app() -> list[dict[str, Any]]:
    """Return all devices of the app's account as in `devices.json`, once its owner has confirmed.

    Raises MeterUnreachableError (`cloud_error`).
    """
    with _app() as account:
        return account.devices()


def _app_key_of(device_id: str) -> str:
    listed = devices_of_the_app()
    key = next((str(entry["key"]) for entry in listed if entry["id"] == device_id), "")
    if not key:
        warn(f"the account of the app has no device {device_id}")
    return key


def _cloud_key_of(device_id: str) -> str:
    with _cloud() as cloud:
        return cloud.local_key(Meter(name="new", device_id=device_id, transport="cloud"))


@contextmanager
def _app() -> Iterator["AppAccount"]:
    """Return the account of the app once its owner has scanned a QR code; log out at the end."""
    from esquirell.plots.qr_code import terminal_lines  # noqa: PLC0415 - only who asks needs it
    from esquirell.runtime.unconfigured import app_login  # noqa: PLC0415 - as above

    say(USER_CODE)
    login = app_login(required("User Code", something), _given().get("app_url") or _APP_URL)
    blocks = "utf" in (sys.stdout.encoding or "").lower()
    click.echo("\n".join(terminal_lines(login.qr_text, blocks=blocks)))
    say(SCAN)
    account = _confirmed(login)
    say("The app has confirmed; asking for its devices")
    try:
        yield account
    finally:
        account.log_out()


def _confirmed(login: "AppLogin") -> "AppAccount":
    """Wait until the app has confirmed. Raises MeterUnreachableError after five minutes."""
    until = time.monotonic() + VALID_S
    while True:
        reason = None
        try:
            if account := login.account():
                return account
        except MeterUnreachableError as error:
            # The Wi-Fi may come back before the code has expired.
            reason = error
        if time.monotonic() > until:
            raise reason or MeterUnreachableError(
                "cloud_error",
                "the QR code was not scanned and confirmed within five minutes (Tuya says "
                f"{login.refusal}): try again",
            )
        time.sleep(ASK_AGAIN_S)


def _given() -> dict[str, Any]:
    """Return what the environment says about the account."""
    return {
        assignment.key: assignment.value
        for assignment in environment.read(os.environ)
        if assignment.table == ("cloud",)
    }


@contextmanager
def _cloud() -> Iterator["Cloud"]:
    """Return the cloud of the account given by the environment, else asked for."""
    from esquirell.runtime.unconfigured import cloud  # noqa: PLC0415 - only who asks needs it

    given = _given()
    region = given.get("region") or click.prompt("Data center", default="eu", type=OneOf(_REGIONS))
    access_id = given.get("api_key") or required("Access ID of the project", something)
    secret = given.get("api_secret") or required(
        "Access Secret of the project", something, hide_input=sys.stdin.isatty()
    )
    with tempfile.TemporaryDirectory() as folder:
        yield cloud(region, access_id, secret, given.get("url", ""), Path(folder))
