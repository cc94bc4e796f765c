"""The composition root: builds every part of a process once, on first use."""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from celery import Celery

from esquirell.beat.scheduler import Scheduler
from esquirell.broker.queue import Queues
from esquirell.broker.tasks import TaskSender
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.reading import USUAL_INTERVAL_S
from esquirell.domain.tariff import tariff_of
from esquirell.domain.tasks import registry
from esquirell.profiles.choice_changes import Change
from esquirell.runtime.bridging import BridgeParts
from esquirell.runtime.configuration import reloaded
from esquirell.runtime.devices import Devices
from esquirell.runtime.mqtt import Mqtt
from esquirell.runtime.polling import Metrics, Polling
from esquirell.runtime.self_report import SelfReport
from esquirell.runtime.shared import Shared
from esquirell.runtime.storage import Storage
from esquirell.runtime.upkeep import StatePlace, Upkeep
from esquirell.services.commands import Commands
from esquirell.services.control import Control
from esquirell.services.edits import Edits
from esquirell.services.handlers import Handlers
from esquirell.services.health import Configured, Health, LocalFacts
from esquirell.services.inventory import ConfiguredMeters, Inventory
from esquirell.services.jobs import Jobs
from esquirell.services.schedules import Schedules
from esquirell.settings import Settings, load
from esquirell.settings.meter_files import MeterFiles

if TYPE_CHECKING:
    from esquirell.runtime.backfilling import Backfilling


log = logging.getLogger(__name__)


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)


class Runtime:
    """Everything that a process of ours may need; unused parts are not built."""

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.settings = settings
        self._reloading = threading.Lock()
        self.app = app
        self.started_at = now()
        # Host names and process ids are not unique among containers.
        self.instance = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def prepare(self) -> None:
        """Create the state directory and upgrade the tables.

        Raises ConfigError or UnavailableError.
        """
        self.place.create()
        self.upkeep.upgrade()

    def repair_database(self) -> None:
        """Repair the database if it is damaged, now and whenever damage is found.

        For a service, which has to go on; people at a terminal get an error.
        """
        self.upkeep.repair(self._adopt_schedules)

    def connect(self) -> None:
        """Start the connection to the broker; the bridge's listens for what concerns it."""
        if self.mqtt.bridges:
            self.bridging.start()
        self.mqtt.connection.start()

    def reload(self) -> None:
        """Apply meters and log levels of a changed configuration file. Raises ConfigError."""
        with self._reloading:
            if problem := self.storage.directory.problem():
                raise ConfigError(problem)
            before, self.settings = self.settings, reloaded(self.settings)
        # Connections of meters that were removed, or are another device now.
        for meter in set(before.meters) - set(self.meters()):
            self.devices.transport.forget(meter.name)
        self.polling.forget(sorted({*before.meter_names} - {*self.settings.meter_names}))

    def meters(self) -> Sequence[Meter]:
        return self.settings.meters

    def left_out(self) -> dict[str, str]:
        """Return the added meters whose files can't be used, and why."""
        return self.settings.left_out

    def damaged(self) -> list[str]:
        """Return why meters and profiles in damaged files are not used."""
        settings = self.settings
        return [*settings.left_out.values(), *settings.damaged_profiles.values()]

    @cached_property
    def place(self) -> StatePlace:
        noted = None if self.settings.redis.embedded else self.shared.state_directories
        return StatePlace(self.storage.directory, noted)

    @cached_property
    def shared(self) -> Shared:
        """Redis and what is shared through it."""
        return Shared(self.settings, self.app, self.instance)

    @cached_property
    def storage(self) -> Storage:
        """The database and its contents."""
        return Storage(lambda: self.settings, now)

    @cached_property
    def upkeep(self) -> Upkeep:
        """The maintenance of the database."""
        return Upkeep(self.settings, self.storage, now)

    @cached_property
    def devices(self) -> Devices:
        return Devices(
            lambda: self.settings,
            self._interval_s,
            lambda: self.polling.reports,
            now,
            self._announce,
        )

    @cached_property
    def mqtt(self) -> Mqtt:
        """The connection to the broker, and what publishes over it."""
        return Mqtt(lambda: self.settings, now)

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics(self.settings, self.mqtt, lambda: self.health.report(None))

    @cached_property
    def polling(self) -> Polling:
        """What reads the meters."""
        return Polling(
            self.meters,
            self.devices,
            self.storage,
            self.upkeep,
            self.shared,
            self.mqtt,
            self.metrics,
            left_out=self.left_out,
        )

    @cached_property
    def bridging(self) -> BridgeParts:
        """The part that represents the whole service over MQTT."""
        return BridgeParts(
            lambda: self.settings,
            self.mqtt,
            self.polling,
            self.schedules,
            self.health,
            self.commands,
            self.jobs,
        )

    @property
    def backfilling(self) -> "Backfilling":
        """Backfills into Home Assistant's statistics."""
        from esquirell.runtime.backfilling import Backfilling  # noqa: PLC0415 - few need it

        return Backfilling(self.settings, self.storage, now)

    @cached_property
    def schedules(self) -> Schedules:
        return Schedules(self.storage.schedules, self.shared.timetable, now)

    @cached_property
    def jobs(self) -> Jobs:
        """Work on request."""
        keep = self.settings.database.log_retention
        sender, held = TaskSender(self.app), self.shared.held
        return Jobs(self.storage.commands, sender, held, now, keep, self.upkeep.trusts)

    @cached_property
    def commands(self) -> Commands:
        edits = Edits(self.storage.schedules, self.shared.timetable, registry, self.meters)
        handlers = Handlers(
            edits, self.schedules, self.health, registry, self.inventory, self.control
        )
        return Commands(handlers, self.jobs)

    @cached_property
    def control(self) -> Control:
        """Changes the service itself: its log level, a restart."""
        return Control(self.shared.orders, self._show_level)

    @cached_property
    def inventory(self) -> Inventory:
        """Writes meters that are added while the service runs."""
        return Inventory(
            MeterFiles(self.storage.directory),
            lambda: ConfiguredMeters(self.settings.meters, self.settings.added, self.left_out()),
            self.devices.try_out,
            self.devices.note,
            self.devices.reports_often,
            self.reload,
            self.upkeep.hand_over,
            self.upkeep.forget,
            self.schedules.readers,
            socket.gethostname(),
        )

    @cached_property
    def health(self) -> Health:
        """The health of the whole service."""
        readings, shared = self.storage.readings, self.shared
        queues = Queues(
            shared.client, lambda: {meter.queue for meter in self.meters() if meter.queue}
        )
        here = LocalFacts(
            self.polling.waiting,
            self.mqtt.connection.report if self.mqtt.bridges else dict,
            self.self_report.process,
            self.polling.statuses,
        )
        configured = Configured(self.meters, self.schedules.active)
        return Health(configured, readings, shared.presence, queues, here, now)

    @cached_property
    def self_report(self) -> SelfReport:
        """What this process reports about itself."""
        return SelfReport(
            self.storage.directory,
            self.started_at,
            self.mqtt,
            self.polling,
            self.schedules,
            lambda: [*self.damaged(), *self.shared.outage.problems],
        )

    def publish_cost(self, meter: str) -> None:
        """Publish the cost of a configured meter. Raises UnavailableError."""
        if any(known.name == meter for known in self.meters()):
            cost = self.storage.costs.of_late(meter) if self.has_tariff(meter) else None
            self.mqtt.publisher.cost(meter, cost)

    def has_tariff(self, meter: str) -> bool:
        """Whether a meter has a tariff, and so costs."""
        return tariff_of(meter, self.settings.tariffs) is not None

    def scheduler(self, owner: str) -> Scheduler:
        """Return a scheduler; of several, the one whose owner holds the lease is active."""
        return self.shared.scheduler(self.schedules.sync, owner)

    def _show_level(self) -> None:
        if self.mqtt.bridges:
            self.bridging.bridge.check_soon()

    def _adopt_schedules(self) -> None:
        self.schedules.adopt(self.settings.schedules)
        self.schedules.changed()

    def _announce(self, meter: Meter, change: Change) -> None:
        self.mqtt.publisher.event("meter_known", {"meter": meter.name, **asdict(change)})

    def _interval_s(self, meter: str) -> float:
        return self.schedules.pace_s(meter) or USUAL_INTERVAL_S


_built: dict[int, Runtime] = {}
_building = threading.Lock()


def current(app: Celery) -> Runtime:
    """Return the runtime of this process; a forked child has its own."""
    with _building:
        if os.getpid() not in _built:
            _built[os.getpid()] = Runtime(load(), app)
        return _built[os.getpid()]


def use(runtime: Runtime | None) -> None:
    """Make `runtime` the one of this process; after None the next use builds another one."""
    _built.pop(os.getpid(), None)
    if runtime:
        _built[os.getpid()] = runtime
