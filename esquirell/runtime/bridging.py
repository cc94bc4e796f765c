"""The bridge: what the service as a whole publishes, and the commands that come over MQTT."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.reading import MeterStatus
from esquirell.domain.record import record
from esquirell.domain.schedule import Schedule
from esquirell.domain.tariff import Tariff, tariff_of
from esquirell.mqtt.bridge import Bridge, Facts
from esquirell.mqtt.discovery import About, MeterInfo
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.requests import Requests
from esquirell.profiles import Choices
from esquirell.runtime.mqtt import Mqtt
from esquirell.runtime.page_address import url_for_others
from esquirell.runtime.polling import Polling
from esquirell.runtime.products import VERSION
from esquirell.services.command_table import schemas
from esquirell.services.commands import Commands
from esquirell.services.health import Health
from esquirell.services.jobs import Jobs
from esquirell.services.replay import Replay
from esquirell.services.schedules import Schedules, pace_of
from esquirell.services.statuses import latest
from esquirell.settings import Settings, public
from esquirell.settings.state_files import MQTT_MEMORY


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


@dataclass(eq=False)
class BridgeParts:
    """The parts of the bridge, built on first use; `settings` returns those in force."""

    settings: Callable[[], Settings]
    mqtt: Mqtt
    polling: Polling
    schedules: Schedules
    health: Health
    commands: Commands
    jobs: Jobs
    _info_cache: BridgeInfoCache = field(default_factory=BridgeInfoCache)

    @cached_property
    def bridge(self) -> Bridge:
        """Publishes what belongs to the whole service."""
        mqtt, settings = self.mqtt, self.settings()
        facts = Facts(
            about(settings),
            self._meter_infos,
            self._left_out,
            self.info,
            self.health.report,
            self.schedules.states,
            self.schedules.version,
            self.polling.upkeep.clock,
        )
        memory = Memory(settings.state_dir / MQTT_MEMORY)
        return Bridge(mqtt.connection, mqtt.topics, mqtt.publisher, facts, memory)

    @cached_property
    def requests(self) -> Requests:
        """The commands that come over MQTT."""
        return Requests(self.mqtt.connection, self.mqtt.topics, self.commands.handle, self.jobs)

    @cached_property
    def replay(self) -> Replay:
        """The service that publishes what the broker missed."""
        mqtt, polling = self.mqtt, self.polling
        readings, clock = polling.storage.readings, polling.upkeep.clock
        return Replay(mqtt.connection, readings, mqtt.publisher.missed, clock)

    def start(self) -> None:
        """Listen for what concerns the bridge; call once, before the connection starts."""
        self.bridge.start()
        self.requests.start()

    def info(self) -> dict[str, Any]:
        """Return the content of `bridge/info`. Not thread-safe."""
        level = logging.getLevelName(logging.getLogger().level).lower()
        info = self._info_cache.info(self.settings(), self.mqtt.topics.base)
        return info | {"log_level": level}

    def _left_out(self) -> dict[str, MeterStatus]:
        settings = self.settings()
        names = [name for name in settings.left_out if name not in settings.meter_names]
        known = self.polling.storage.readings.statuses() if names else {}
        return {name: known.get(name, MeterStatus()) for name in names}

    def _meter_infos(self) -> Sequence[MeterInfo]:
        devices, storage = self.polling.devices, self.polling.storage
        known = MeterInfoSource(
            devices.profiles,
            latest(storage.readings.statuses(), self.polling.statuses()),
            self.schedules.active(),
            self.settings().tariffs,
            devices.described,
        )
        return [known.info(meter) for meter in self.polling.meters()]
