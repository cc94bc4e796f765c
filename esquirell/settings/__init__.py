"""Settings: one TOML file, secret files, the environment on top."""

from esquirell.settings.loading import load
from esquirell.settings.model import (
    CloudSettings,
    Configuration,
    DatabaseSettings,
    FlowerSettings,
    LogSettings,
    MqttSettings,
    RedisSettings,
    Settings,
    TaskSettings,
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
    "WorkerSettings",
    "load",
    "masked",
    "public",
]
