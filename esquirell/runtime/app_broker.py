"""The broker of the Home Assistant in which this runs as an app."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from esquirell.domain.errors import ConfigError
from esquirell.settings import private_files
from esquirell.settings.home_assistant_app import BROKER_FILE, TOKEN, state_dir_of

if TYPE_CHECKING:
    from esquirell.homeassistant.supervisor import MqttService


def learn_broker(environ: Mapping[str, str]) -> None:
    """Ask the Supervisor for the broker, and keep its answer where the settings look for it.

    If it does not answer, what it said before still counts. Outside of Home Assistant nothing is
    done. Raises UnavailableError and ConfigError.
    """
    folder = state_dir_of(environ)
    if folder is not None:
        from esquirell.homeassistant.supervisor import mqtt_service  # noqa: PLC0415 - apps alone

        _keep(folder / BROKER_FILE, mqtt_service(environ[TOKEN]))


def _keep(file: Path, found: "MqttService | None") -> None:
    try:
        _write(file, found)
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}") from error


def _write(file: Path, found: "MqttService | None") -> None:
    if found is None:
        file.unlink(missing_ok=True)
        return
    table: dict[str, str | int | bool] = {"host": found.host, "port": found.port, "tls": found.ssl}
    if found.username:
        table |= {"username": found.username, "password": found.password.get_secret_value()}
    text = json.dumps(table)
    if not file.exists() or file.read_bytes() != text.encode():
        private_files.write({file: text})
