"""The bridge: what the service as a whole publishes, and the commands that come over MQTT."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from esquirell.domain.reading import MeterStatus
from esquirell.mqtt.bridge import Bridge, Facts
from esquirell.mqtt.discovery import MeterInfo
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.requests import Requests
from esquirell.runtime.facts import BridgeInfoCache, MeterInfoSource, about
from esquirell.runtime.mqtt import Mqtt
from esquirell.runtime.polling import Polling
from esquirell.services.commands import Commands
from esquirell.services.health import Health
from esquirell.services.jobs import Jobs
from esquirell.services.replay import Replay
from esquirell.services.schedules import Schedules
from esquirell.services.statuses import latest
from esquirell.settings import Settings
from esquirell.settings.state_files import MQTT_MEMORY


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
