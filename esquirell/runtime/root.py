"""The composition root: builds every adapter once in a process, on first use."""

import os
import socket
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from celery import Celery

from esquirell.beat.lease import Lease
from esquirell.beat.presence import Presence
from esquirell.beat.queue import Queues
from esquirell.beat.redis import Client, connect
from esquirell.beat.relay import Relay
from esquirell.beat.scheduler import Scheduler
from esquirell.beat.sender import TaskSender
from esquirell.beat.timetable import RedBeatTimetable
from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.periods import Calendar
from esquirell.domain.profile import Profile
from esquirell.domain.requests import schemas
from esquirell.domain.status import MeterStatus
from esquirell.domain.tasks import registry
from esquirell.mqtt.bridge import Bridge, Facts, will_of
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import MeterInfo
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.requests import Requests
from esquirell.mqtt.topics import Topics
from esquirell.profiles import Choices
from esquirell.runtime.devices import build_cloud, build_transport, describe
from esquirell.runtime.measuring import exporter_of, ports_of
from esquirell.runtime.wiring import (
    address_of,
    make_directory,
    options_of,
)
from esquirell.services.capture import Capture
from esquirell.services.commands import Commands
from esquirell.services.costs import Costs
from esquirell.services.edits import Edits
from esquirell.services.elsewhere import Elsewhere
from esquirell.services.fetch import Fetch
from esquirell.services.health import Health
from esquirell.services.jobs import Jobs
from esquirell.services.missed import Missed
from esquirell.services.poll import Poller
from esquirell.services.retention import Retention
from esquirell.services.saving import Saver
from esquirell.services.schedules import Schedules, pace_of
from esquirell.services.statistics import Statistics
from esquirell.settings import Settings, load, public
from esquirell.storage.backups import Backups
from esquirell.storage.claim import Claim
from esquirell.storage.commands import CommandLog
from esquirell.storage.database import Database
from esquirell.storage.mending import Mender
from esquirell.storage.prices import Prices
from esquirell.storage.readings import Readings
from esquirell.storage.revision import ensure_current
from esquirell.storage.schedules import Schedules as ScheduleStore
from esquirell.storage.spool import Spool
from esquirell.storage.statistics import Statistics as StatisticsStore
from esquirell.tuya.account import Spent
from esquirell.tuya.cloud import Cloud
from esquirell.tuya.transport import TuyaTransport

if TYPE_CHECKING:
    from esquirell.metrics.exporter import Exporter

VERSION = version("esquirell")

# A device drops a silent connection after about half a minute.
KEEP_UP_TO_S = 25


def now() -> datetime:
    """Give the present moment, aware and in UTC."""
    return datetime.now(UTC)


class Runtime:
    """Everything that a process of ours may need; what is not asked for is not built.

    `bridges` tells that this process is the bridge: its MQTT connection then speaks for it.
    `queues` are those of meters that this process serves, beside the meters without one.
    """

    def __init__(self, settings: Settings, app: Celery) -> None:
        self.settings = settings
        self.app = app
        self.started_at = now()
        # Host names and process ids repeat among containers.
        self.instance = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.bridges = False
        self.queues: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Make the state directory and bring the tables up to date.

        Raises ConfigError or UnavailableError.
        """
        make_directory(self.settings.state_dir)
        ensure_current(self.database)

    def mend_database(self) -> None:
        """Mend the database if it is damaged, now and whenever it turns out to be.

        That is for a service, which has to go on; a person at a terminal is told.
        """
        mender = Mender(self.database, self.backups, self._adopt_schedules)
        if self._owns_database:
            mender.mend_at_start()
        self.database.on_damage = mender.mend

    def reload(self) -> None:
        """Take over meters and levels of a changed configuration file. Raises ConfigError."""
        before, self.settings = self.settings, load()
        for meter in {one.name for one in before.meters} - {one.name for one in self.meters()}:
            self.transport.forget(meter)

    def meters(self) -> Sequence[Meter]:
        """Give the configured meters."""
        return self.settings.meters

    @cached_property
    def redis(self) -> Client:
        """The client for all but Celery's own use."""
        return connect(address_of(self.settings))

    @cached_property
    def database(self) -> Database:
        """The database."""
        durability = self.settings.database.durability
        return Database(self.settings.database_url, durability=durability)

    @cached_property
    def backups(self) -> Backups:
        """The backups of the database."""
        settings = self.settings
        return Backups(self.database, settings.backup_dir, settings.backup.keep, now)

    @cached_property
    def claim(self) -> Claim:
        """What one service on the database has, and no other."""
        return Claim(self.database)

    @cached_property
    def readings(self) -> Readings:
        """The stored readings."""
        return Readings(self.database)

    @cached_property
    def statistics(self) -> Statistics:
        """The one who works up statistics."""
        return Statistics(self._statistics_store, Calendar(self.settings.timezone), now)

    @cached_property
    def retention(self) -> Retention:
        """The one who thins out old readings."""
        keep, calendar = self.settings.database.raw_retention, Calendar(self.settings.timezone)
        return Retention(self._statistics_store, calendar, keep, now)

    @cached_property
    def costs(self) -> Costs:
        """The one who reckons what energy costs."""
        calendar, prices = Calendar(self.settings.timezone), Prices(self.database)
        return Costs(self._statistics_store, prices, lambda: self.settings.tariffs, calendar, now)

    @cached_property
    def _statistics_store(self) -> StatisticsStore:
        return StatisticsStore(self.database, self.settings.timezone)

    @cached_property
    def transport(self) -> TuyaTransport:
        """The way to the meters."""
        return build_transport(self.settings, self._keeps, self.cloud)

    @cached_property
    def cloud(self) -> Cloud | None:
        """The way to the cloud, if there is an account."""
        return build_cloud(self.settings, now)

    @cached_property
    def profiles(self) -> Choices:
        """What the datapoints of the meters mean."""
        return Choices(lambda: self.settings.profiles_dir, self.describe)

    @cached_property
    def poller(self) -> Poller:
        """The one who polls."""
        transport, store = ports_of(self.transport, self.readings, self.exporter)
        saver = Saver(store, Spool(self.settings.spool_file))
        return Poller(transport, self.profiles, saver, self.publisher, now)

    @cached_property
    def exporter(self) -> "Exporter | None":
        """The figures for Prometheus; none unless they are asked for."""
        report = self.health.report if self.bridges else None
        return exporter_of(self.connection, report) if self.settings.metrics.port else None

    def serve_figures(self) -> None:
        """Show the figures to Prometheus, if they are asked for."""
        if self.exporter:
            self.exporter.serve(self.settings.metrics.address, self.settings.metrics.port)

    @cached_property
    def fetch(self) -> Fetch:
        """The work behind the tasks."""
        relay = Relay(self.app, self.redis, self.presence)
        return Fetch(self.poller, self.meters, Elsewhere(relay, self.queues))

    @cached_property
    def timetable(self) -> RedBeatTimetable:
        """The entries in Redis."""
        # RedBeat takes its client from here: made by us, no dump of settings has a password.
        self.app.redbeat_redis = self.redis  # type: ignore[attr-defined]
        return RedBeatTimetable(self.app, self.settings.timezone)

    @cached_property
    def capture(self) -> Capture:
        """The one who takes captures."""
        return Capture(self.transport, self.describe, self.profiles.of, VERSION)

    def requests_spent(self) -> Spent:
        """Count the requests that were made to the cloud."""
        return self.cloud.spent() if self.cloud else Spent()

    def describe(self, meter: Meter) -> Device:
        """Tell what is known of the device of a meter. Raises ConfigError."""
        return describe(meter, self.settings.state_dir)

    @cached_property
    def schedules(self) -> Schedules:
        """The writer of schedules."""
        return Schedules(ScheduleStore(self.database), self.timetable, now)

    @cached_property
    def jobs(self) -> Jobs:
        """Work on request."""
        keep = self.settings.database.log_retention
        return Jobs(CommandLog(self.database), TaskSender(self.app), now, keep)

    @cached_property
    def commands(self) -> Commands:
        """The dispatcher of commands."""
        edits = Edits(ScheduleStore(self.database), self.timetable, registry, self.meters)
        return Commands(edits, self.schedules, self.jobs, self.health, registry)

    @cached_property
    def requests(self) -> Requests:
        """The commands that come over MQTT."""
        return Requests(self.connection, self.topics, self.commands.handle, self.jobs)

    @cached_property
    def presence(self) -> Presence:
        """Who is alive."""
        return Presence(self.redis, self.instance)

    @cached_property
    def health(self) -> Health:
        """How the whole is doing."""
        queues = Queues(self.redis, lambda: {one.queue for one in self.meters() if one.queue})
        return Health(self.meters, self.readings, self.presence, queues, self._waiting, now)

    @cached_property
    def topics(self) -> Topics:
        """The topics."""
        mqtt = self.settings.mqtt
        return Topics(mqtt.base_topic, mqtt.discovery_prefix)

    @cached_property
    def connection(self) -> Connection:
        """The connection to the broker."""
        will = will_of(self.topics) if self.bridges else None
        return Connection(options_of(self.settings, bridges=self.bridges), will)

    @cached_property
    def publisher(self) -> MqttPublisher:
        """What is published of the meters."""
        return MqttPublisher(self.connection, self.topics, self._publish_every, now)

    @cached_property
    def missed(self) -> Missed:
        """The one who publishes what the broker missed."""
        return Missed(self.connection, self.readings, self.publisher.missed, now)

    @cached_property
    def bridge(self) -> Bridge:
        """What is published of the whole."""
        facts = Facts(
            VERSION,
            self._meter_infos,
            self._info,
            self.health.report,
            self.schedules.states,
            self.schedules.version,
        )
        return Bridge(self.connection, self.topics, self.publisher, facts, now)

    def tell_cost(self, meter: str) -> None:
        """Publish what a configured meter has cost. Raises UnavailableError."""
        if any(one.name == meter for one in self.meters()):
            self.publisher.cost(meter, self.costs.of_late(meter))

    def lease(self, role: str, owner: str) -> Lease:
        """Build the lease of a role: of several processes one is active."""
        return Lease(self.redis, role, owner)

    def scheduler(self, owner: str) -> Scheduler:
        """Build a beat; of several, the one whose owner holds the lease is active."""
        return Scheduler(self.app, self.schedules.sync, self.lease("beat", owner))

    @property
    def _owns_database(self) -> bool:
        """Whether the file is ours by its place: elsewhere it may be another program's."""
        file = self.database.file
        return file is not None and file.is_relative_to(self.settings.state_dir)

    def _adopt_schedules(self) -> None:
        self.schedules.adopt(self.settings.schedules)
        self.schedules.changed()

    def _keeps(self, meter: Meter) -> bool:
        pace_s = self.schedules.pace_s(meter.name)
        return pace_s is not None and pace_s <= KEEP_UP_TO_S

    def _known_statuses(self) -> dict[str, MeterStatus]:
        """Give what this process itself knows of the meters, also what is not stored yet."""
        if "poller" not in self.__dict__:
            return {}
        return self.poller.statuses.known()

    def _profile(self, meter: Meter) -> Profile | None:
        """Give the profile of a meter, if it has one that can be read."""
        try:
            return self.profiles.of(meter)
        except ConfigError:
            return None

    def _currency(self, meter: Meter) -> str | None:
        tariff = self.costs.tariff_of(meter.name)
        return tariff.currency if tariff else None

    def _publish_every(self, name: str) -> int:
        return next((one.publish_every for one in self.meters() if one.name == name), 0)

    def _waiting(self) -> int:
        return self.poller.waiting

    def _info(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "base_topic": self.topics.base,
            "config": public(self.settings),
            "commands": schemas(),
        }

    def _meter_infos(self) -> list[MeterInfo]:
        statuses = self.readings.statuses() | self._known_statuses()
        active = self.schedules.active()
        paces = [pace_of(active.values(), meter.name) for meter in self.meters()]
        return [
            MeterInfo(
                one,
                self._profile(one),
                statuses.get(one.name, MeterStatus()),
                pace_s,
                self._currency(one),
            )
            for one, pace_s in zip(self.meters(), paces, strict=True)
        ]


_built: dict[int, Runtime] = {}
_building = threading.Lock()


def current(app: Celery) -> Runtime:
    """Give the runtime of this process; a forked child has one of its own."""
    with _building:
        if os.getpid() not in _built:
            _built[os.getpid()] = Runtime(load(), app)
        return _built[os.getpid()]


def use(runtime: Runtime) -> None:
    """Make `runtime` that of this process."""
    _built[os.getpid()] = runtime
