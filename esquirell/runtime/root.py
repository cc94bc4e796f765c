"""The composition root: builds every adapter once per process, on first use."""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from celery import Celery

from esquirell.beat.scheduler import Scheduler
from esquirell.broker.queue import Queues
from esquirell.broker.sender import TaskSender
from esquirell.domain.errors import ConfigError, SpoolError, UnavailableError
from esquirell.domain.heard import Question
from esquirell.domain.meter import Meter
from esquirell.domain.reading import MeterStatus
from esquirell.domain.tasks import registry
from esquirell.mqtt.bridge import Bridge, Facts, will_of
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import MeterInfo
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.requests import Requests
from esquirell.mqtt.rights import RightsCheck
from esquirell.mqtt.topics import Topics
from esquirell.profiles.choices import Change
from esquirell.runtime.connections import options_of
from esquirell.runtime.devices import Devices
from esquirell.runtime.facts import BridgeInfoCache, MeterInfoSource, about
from esquirell.runtime.machine import Machine
from esquirell.runtime.measuring import exporter_of, ports_of
from esquirell.runtime.self_report import SelfReport
from esquirell.runtime.shared import Shared
from esquirell.runtime.storage import Storage
from esquirell.runtime.upkeep import Upkeep
from esquirell.services.commands import Commands
from esquirell.services.control import Control
from esquirell.services.delivery import Delivery, Saver
from esquirell.services.edits import Edits
from esquirell.services.fetch import Fetch
from esquirell.services.handlers import Handlers
from esquirell.services.health import Configured, Health, Here
from esquirell.services.inventory import Inventory
from esquirell.services.inventory import Known as KnownMeters
from esquirell.services.jobs import Jobs
from esquirell.services.lines import Lines
from esquirell.services.patience import PatientStore
from esquirell.services.poll import USUAL_INTERVAL_S, Poller
from esquirell.services.remote_reads import Inbox, OneWorker, RemoteReads
from esquirell.services.replay import Replay
from esquirell.services.reports import Reports
from esquirell.services.schedules import Schedules
from esquirell.services.statuses import latest
from esquirell.services.timekeeping import Dating, Timekeeper
from esquirell.settings import Settings, load
from esquirell.settings.meter_files import MeterFiles
from esquirell.settings.private_files import make_directory
from esquirell.settings.state_files import MQTT_MEMORY, gone, is_there
from esquirell.storage.spool import Spool

if TYPE_CHECKING:
    from esquirell.metrics.exporter import Exporter
    from esquirell.runtime.backfilling import Backfilling


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)


class Runtime:
    """Everything that a process of ours may need; unused parts are not built.

    `bridges` means that this process is the bridge: its MQTT connection then acts for it. `queues`
    are those of meters that this process serves, beside the meters without one, `served` all of
    them with "" for those. `parent` is the worker that reads the meters for this process.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.settings = settings
        self._paces = _paces(settings)
        self._bridge_info = BridgeInfoCache()
        self._reloading = threading.Lock()
        self.app = app
        self.started_at = now()
        # Host names and process ids are not unique among containers.
        self.instance = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.bridges = False
        self.queues: tuple[str, ...] = ()
        self.served: tuple[str, ...] = ("",)
        self.parent = ""

    def prepare(self) -> None:
        """Create the state directory and upgrade the tables.

        Raises ConfigError or UnavailableError.
        """
        make_directory(self.settings.state_dir)
        self.upkeep.upgrade()

    def check_place(self) -> None:
        """Refuse to start afresh where the state directory was and is missing, as with its disk.

        The Redis of `embedded` is as new as the directory, and knows nothing. Raises ConfigError.
        """
        folder = self.settings.state_dir
        if is_there(folder) or self.settings.redis.embedded:
            return
        with suppress(UnavailableError):
            if self.shared.places.knows(str(folder)):
                raise ConfigError(
                    f"the state directory {folder} is missing, but existed at an earlier start: "
                    f"mount its disk; to start afresh there: mkdir {folder}"
                )

    def note_place(self) -> None:
        """Remember the place of the state directory."""
        if not self.settings.redis.embedded:
            with suppress(UnavailableError):
                self.shared.places.note(str(self.settings.state_dir))

    def mend_database(self) -> None:
        """Repair the database if it is damaged, now and whenever damage is found.

        For a service, which has to go on; people at a terminal get an error.
        """
        self.upkeep.mend(self._adopt_schedules)

    def reload(self) -> None:
        """Apply meters and log levels of a changed configuration file.

        Raises ConfigError, also when the file has lost all its meters: an editor that empties it
        before it writes would remove them from Home Assistant.
        """
        with self._reloading:
            if not is_there(self.settings.state_dir):
                raise ConfigError(gone(self.settings.state_dir))
            before, after = self.settings, load()
            if before.configured and not after.configured:
                raise ConfigError(
                    f"{after.source or 'the environment'} no longer has any meters: restart the "
                    "service if that is intended"
                )
            self.settings = after
            self._paces = _paces(self.settings)
        # Connections of meters that were removed, or are another device now.
        for meter in set(before.meters) - set(self.meters()):
            self.devices.transport.forget(meter.name)
        if self.polls:
            self.poller.forget(sorted(_names(before) - _names(self.settings)))

    def meters(self) -> Sequence[Meter]:
        """Return the configured meters."""
        return self.settings.meters

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
        return Upkeep(self.settings, self.storage, now, self.timekeeper)

    @cached_property
    def devices(self) -> Devices:
        """The devices of the meters."""
        return Devices(
            lambda: self.settings, self._interval_s, lambda: self.reports, now, self._announce
        )

    @property
    def backfilling(self) -> "Backfilling":
        """Backfills into Home Assistant's statistics."""
        from esquirell.runtime.backfilling import Backfilling  # noqa: PLC0415 - few need it

        return Backfilling(self.settings, self.storage, now)

    @cached_property
    def poller(self) -> Poller:
        """The service that polls."""
        transport, store = ports_of(self.devices.transport, self.storage.readings, self.exporter)
        spool, storage = Spool(self.settings.spool_file), self.storage
        history, corrections = storage.reading_history, self.upkeep.corrections
        dating = Dating(self.timekeeper, spool, history, corrections, now)
        saver = Saver(PatientStore(store), spool, dating)
        delivery = Delivery(self.devices.profiles, saver, self.publisher)
        return Poller(transport, self.devices.profiles, delivery, now, self._interval_s)

    @cached_property
    def reports(self) -> Reports:
        """Handles what meters report by themselves."""
        poller = self.poller
        return Reports(poller.intake, poller.judging, poller.delivery, self.publisher, now)

    @cached_property
    def lines(self) -> Lines:
        """The connections to meters that this process holds."""
        return Lines(
            self.meters,
            self.poller.question,
            self._hold,
            self.shared.owners,
            self.served,
        )

    def _hold(self, questions: Sequence[Question]) -> None:
        """Hold these connections and no others; what arrived over closed ones is stored."""
        self.poller.judging.prepare([question.meter.name for question in questions])
        self.devices.transport.hold(questions)
        self.reports.flush()

    def finish_readings(self) -> None:
        """Close all connections; store and publish what was held back."""
        self.poller.close()
        if "reports" in self.__dict__:
            self.reports.close()
        self.publisher.publish_held()

    def close_meters(self) -> None:
        """Stop reading meters, and release them to other workers at once."""
        self.finish_readings()
        if self.devices.lines is not None:
            self.lines.leave()

    @cached_property
    def timekeeper(self) -> Timekeeper:
        """Decides whether the clock is right."""
        return Timekeeper(Machine())

    @cached_property
    def exporter(self) -> "Exporter | None":
        """The metrics for Prometheus; None unless enabled."""
        report = partial(self.health.report, None) if self.bridges else None
        return exporter_of(self.connection, report) if self.settings.metrics.port else None

    def serve_figures(self) -> None:
        """Expose the metrics to Prometheus, if enabled."""
        if self.exporter:
            self.exporter.serve(self.settings.metrics.address, self.settings.metrics.port)

    @cached_property
    def fetch(self) -> Fetch:
        """The work behind the tasks."""
        return Fetch(self.poller, self.meters, self.remote, self.devices.capture.take)

    @cached_property
    def remote(self) -> RemoteReads:
        """Reads of other workers on behalf of this one."""
        ownership = OneWorker(self.parent) if self.parent else self.lines
        return RemoteReads(self.shared.relay, ownership)

    @cached_property
    def inbox(self) -> Inbox:
        """Reads of this worker on behalf of others."""
        return Inbox(self.shared.relay, self.fetch.batch, self.remote.reading)

    @cached_property
    def schedules(self) -> Schedules:
        """The writer of schedules."""
        return Schedules(self.storage.schedules, self.shared.timetable, now)

    @cached_property
    def jobs(self) -> Jobs:
        """Work on request."""
        keep = self.settings.database.log_retention
        return Jobs(self.storage.commands, TaskSender(self.app), self.shared.held, now, keep)

    @cached_property
    def commands(self) -> Commands:
        """The dispatcher of commands."""
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
            MeterFiles(self.settings.state_dir),
            lambda: KnownMeters(self.settings.meters, self.settings.added),
            self.devices.try_out,
            self.devices.note,
            self.devices.reports_often,
            self.reload,
            self.upkeep.corrections.hand_over,
            self.upkeep.forget,
            self.schedules.readers,
            socket.gethostname(),
        )

    @cached_property
    def requests(self) -> Requests:
        """The commands that come over MQTT."""
        return Requests(self.connection, self.topics, self.commands.handle, self.jobs)

    @cached_property
    def health(self) -> Health:
        """The health of the whole service."""
        readings, shared = self.storage.readings, self.shared
        queues = Queues(
            shared.client, lambda: {meter.queue for meter in self.meters() if meter.queue}
        )
        here = Here(
            self._waiting,
            self.connection.report if self.bridges else dict,
            self.self_report.process,
        )
        configured = Configured(self.meters, self.schedules.active)
        return Health(configured, readings, shared.presence, queues, here, now)

    @cached_property
    def self_report(self) -> SelfReport:
        """What this process reports about itself."""
        return SelfReport(self, now)

    @property
    def polls(self) -> bool:
        """Whether this process reads meters, as a worker does."""
        return "poller" in self.__dict__

    @property
    def is_connected_to_mqtt(self) -> bool:
        """Whether this process keeps a connection to the broker, up or not."""
        return "connection" in self.__dict__ and self.connection.alive()

    @cached_property
    def topics(self) -> Topics:
        """The topics."""
        mqtt = self.settings.mqtt
        return Topics(mqtt.base_topic, mqtt.discovery_prefix)

    @cached_property
    def connection(self) -> Connection:
        """The connection to the broker."""
        options = options_of(self.settings, bridges=self.bridges)
        if not self.bridges:
            return Connection(options, password=_mqtt_password)
        return Connection(options, will_of(self.topics), Claim(self.topics), _mqtt_password)

    def connect(self) -> None:
        """Start the connection to the broker; the bridge's listens for what concerns it."""
        if self.bridges:
            self.bridge.start()
            self.requests.start()
        self.connection.start()

    @cached_property
    def rights_check(self) -> RightsCheck:
        """Tests what the broker allows us to do."""
        return RightsCheck(self.connection, self.topics)

    @cached_property
    def publisher(self) -> MqttPublisher:
        """Publishes what belongs to the meters."""
        return MqttPublisher(self.connection, self.topics, self._publish_every, now)

    @cached_property
    def replay(self) -> Replay:
        """The service that publishes what the broker missed."""
        return Replay(self.connection, self.storage.readings, self.publisher.missed, now)

    @cached_property
    def bridge(self) -> Bridge:
        """Publishes what belongs to the whole service."""
        facts = Facts(
            about(self.settings),
            self._meter_infos,
            self._info,
            self.health.report,
            self.schedules.states,
            self.schedules.version,
            now,
        )
        memory = Memory(self.settings.state_dir / MQTT_MEMORY)
        return Bridge(self.connection, self.topics, self.publisher, facts, memory)

    def tell_cost(self, meter: str) -> None:
        """Publish the cost of a configured meter. Raises UnavailableError."""
        if any(known.name == meter for known in self.meters()):
            self.publisher.cost(meter, self.storage.costs.of_late(meter))

    def scheduler(self, owner: str) -> Scheduler:
        """Return a beat; of several, the one whose owner holds the lease is active."""
        return self.shared.scheduler(self.schedules.sync, owner)

    def _show_level(self) -> None:
        if self.bridges:
            self.bridge.look_soon()

    def _adopt_schedules(self) -> None:
        self.schedules.adopt(self.settings.schedules)
        self.schedules.changed()

    def _announce(self, meter: Meter, change: Change) -> None:
        self.publisher.event("meter_known", {"meter": meter.name, **asdict(change)})

    def _known_statuses(self) -> dict[str, MeterStatus]:
        """Return what this process itself knows about the meters, even if not stored yet."""
        if not self.polls:
            return {}
        return self.poller.delivery.statuses.known()

    def _interval_s(self, meter: str) -> float:
        return self.schedules.pace_s(meter) or USUAL_INTERVAL_S

    def _publish_every(self, name: str) -> int:
        return self._paces.get(name, 0)

    def _waiting(self) -> int:
        """Count the readings waiting on this machine; counting must not build what polls."""
        return self.poller.waiting if self.polls else self._spooled()

    def _spooled(self) -> int:
        try:
            return Spool(self.settings.spool_file).count()
        except SpoolError:
            return 0

    def _info(self) -> dict[str, Any]:
        level = logging.getLevelName(logging.getLogger().level).lower()
        return self._bridge_info.info(self.settings, self.topics.base) | {"log_level": level}

    def _meter_infos(self) -> list[MeterInfo]:
        statuses = latest(self.storage.readings.statuses(), self._known_statuses())
        devices = self.devices
        known = MeterInfoSource(
            devices.profiles,
            statuses,
            self.schedules.active(),
            self.storage.costs,
            devices.described,
        )
        return [known.info(meter) for meter in self.meters()]


def _mqtt_password() -> str:
    """Read the broker's password as currently configured. Raises ConfigError."""
    return load().mqtt.password.get_secret_value()


def _names(settings: Settings) -> set[str]:
    return {meter.name for meter in settings.meters}


def _paces(settings: Settings) -> dict[str, int]:
    """Return how often (s) each meter's readings are published; called for each reading."""
    return {meter.name: meter.publish_every for meter in settings.meters}
