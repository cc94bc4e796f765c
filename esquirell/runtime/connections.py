"""Where Redis and the MQTT broker are; in a Home Assistant app its Supervisor is asked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esquirell.broker.connection import Address, Sentinels
from esquirell.domain.errors import ConfigError
from esquirell.settings import Settings, load, private_files
from esquirell.settings.home_assistant_app import BROKER_FILE, TOKEN, state_dir_of
from esquirell.settings.urls import SENTINEL, sentinels

if TYPE_CHECKING:
    from esquirell.homeassistant.supervisor import MqttService
    from esquirell.mqtt.options import Options

SESSION_S = 600


def celery_settings() -> dict[str, Any]:
    """Build Celery's settings from the configuration. Raises ConfigError."""
    from esquirell.broker.celery_config import celery_config  # noqa: PLC0415 - it loads kombu

    settings = load()
    config = celery_config(address_of(settings), settings.timezone, settings.redis.result_expires)
    return config | {"imports": settings.tasks.modules}


def address_of(settings: Settings) -> Address:
    """Return where Redis is, and the secrets it requires."""
    password = settings.redis.password.get_secret_value() or None
    ca_file = settings.redis.ca_file
    if settings.redis_url.startswith(SENTINEL):
        hosts, master, url = sentinels(settings.redis_url)
        asked = Sentinels(
            hosts, master, settings.redis.sentinel_password.get_secret_value() or None
        )
        return Address(url, password, sentinels=asked)
    return Address(settings.redis_url, password, {"ssl_ca_certs": str(ca_file)} if ca_file else {})


def options_of(settings: Settings, *, bridges: bool) -> "Options":
    """Return how to reach the broker; the bridge's session outlasts its absence."""
    from esquirell.mqtt.options import Options  # noqa: PLC0415 - Redis alone needs none of it

    mqtt = settings.mqtt
    plain: dict[str, Any] = mqtt.model_dump(
        exclude={"password", "base_topic", "discovery_prefix", "history"}
    )
    session: dict[str, Any] = {
        "client_id": f"{mqtt.base_topic}-bridge",
        "session_expiry": SESSION_S,
    }
    return Options(
        **plain, password=mqtt.password.get_secret_value(), **(session if bridges else {})
    )


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
