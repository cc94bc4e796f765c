"""What the bridge publishes about the service and its meters."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.reading import MeterStatus
from esquirell.domain.record import record
from esquirell.domain.schedule import Schedule
from esquirell.domain.tariff import Tariff, tariff_of
from esquirell.mqtt.discovery import About, MeterInfo
from esquirell.profiles import Choices
from esquirell.runtime.page_address import url_for_others
from esquirell.services.command_table import schemas
from esquirell.services.schedules import pace_of
from esquirell.settings import Settings, public

VERSION = version("esquirell")


def _info_of(settings: Settings, base_topic: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "base_topic": base_topic,
        "config": public(settings),
        "commands": schemas("mqtt"),
    }


class BridgeInfoCache:
    """The content of `bridge/info`, built once per configuration.

    With a thousand meters, building it takes 15 ms.
    """

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._info: dict[str, Any] = {}

    def info(self, settings: Settings, base_topic: str) -> dict[str, Any]:
        """Return the content of `bridge/info`: version, settings, commands. Not thread-safe."""
        if self._settings is not settings:
            self._settings, self._info = settings, _info_of(settings, base_topic)
        return self._info


@record
class MeterInfoSource:
    """The source of the facts in a meter's announcement, at one moment."""

    profiles: Choices
    statuses: Mapping[str, MeterStatus]
    schedules: Mapping[str, Schedule]
    tariffs: Sequence[Tariff]
    describe: Callable[[Meter], Device]

    def info(self, meter: Meter) -> MeterInfo:
        """Return the facts to announce about a meter."""
        tariff, device = tariff_of(meter.name, self.tariffs), _device(self.describe, meter)
        return MeterInfo(
            meter,
            _profile(self.profiles, meter),
            self.statuses.get(meter.name, MeterStatus()),
            pace_of(self.schedules.values(), meter.name),
            tariff.currency if tariff else None,
            device.mac,
            device.serial,
        )


def about(settings: Settings) -> About:
    """Return this program's description, with its page's URL if other machines can reach it."""
    return About(VERSION, url_for_others(settings.web) or "")


def _device(describe: Callable[[Meter], Device], meter: Meter) -> Device:
    try:
        return describe(meter)
    except ConfigError:
        return Device()


def _profile(profiles: Choices, meter: Meter) -> Profile | None:
    """Return the profile of a meter, if it has a readable one."""
    try:
        return profiles.of(meter)
    except ConfigError:
        return None
