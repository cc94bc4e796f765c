"""Settings: one TOML file, overridden by secret files and environment variables."""

from esquirell.settings.loading import load
from esquirell.settings.model import Settings
from esquirell.settings.sections import (
    CloudSettings,
    MqttSettings,
    RedisSettings,
    WebSettings,
)
from esquirell.settings.showing import masked, public

__all__ = [
    "CloudSettings",
    "MqttSettings",
    "RedisSettings",
    "Settings",
    "WebSettings",
    "load",
    "masked",
    "public",
]
