"""Settings: one TOML file, overridden by secret files and environment variables."""

from esquirell.settings.loading import load
from esquirell.settings.model import Configuration, Settings
from esquirell.settings.sections import (
    CloudSettings,
    DatabaseSettings,
    FlowerSettings,
    LogSettings,
    MqttSettings,
    RedisSettings,
    TaskSettings,
    WebSettings,
    WorkerSettings,
)
from esquirell.settings.showing import masked, public

__all__ = [
    "CloudSettings",
    "Configuration",
    "DatabaseSettings",
    "FlowerSettings",
    "LogSettings",
    "MqttSettings",
    "RedisSettings",
    "Settings",
    "TaskSettings",
    "WebSettings",
    "WorkerSettings",
    "load",
    "masked",
    "public",
]
