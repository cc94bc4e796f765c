"""Where Redis and the MQTT broker are, in the words of the adapters."""

from typing import TYPE_CHECKING, Any

from esquirell.broker.connection import Address, Sentinels
from esquirell.settings import Settings, load
from esquirell.settings.urls import SENTINEL, sentinels

if TYPE_CHECKING:
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
