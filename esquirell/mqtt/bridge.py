"""Keeps what is retained on the broker true: the bridge, its meters, their discovery."""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from esquirell.domain.errors import UnavailableError
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import MeterInfo, bridge_device, meter_device
from esquirell.mqtt.link import Message
from esquirell.mqtt.options import Will
from esquirell.mqtt.pace import Pace
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.schedules import ScheduleStates, States, Version
from esquirell.mqtt.topics import Topics

log = logging.getLogger(__name__)

REFRESH_S = 10.0
# A schedule that is quicker than this is told of this often at most.
RUNS_S = 5.0
HEALTH_S = 60.0
BIRTH_DELAY_S = 3.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Where the bridge looks up what it publishes; each call may raise UnavailableError."""

    version: str
    meters: Callable[[], Sequence[MeterInfo]]
    info: Callable[[], Mapping[str, object]]
    health: Callable[[], Mapping[str, object]]
    schedules: Callable[[], States]
    version_of: Callable[[Sequence[str]], Version | None]


def will_of(topics: Topics) -> Will:
    """Give the state that the bridge's connection has to leave behind."""
    return Will(topics.bridge_state, {"state": "offline"})


class Bridge:
    """Announces meters, watches them, and clears what was removed; one per base topic."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        publisher: MqttPublisher,
        facts: Facts,
        clock: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._publisher = publisher
        self._facts = facts
        self._clock = clock
        self._refresh_pace = Pace(REFRESH_S)
        self._health_pace = Pace(HEALTH_S)
        self._renew_at: float | None = None
        self._found: deque[str] = deque()
        self._published: set[str] = set()
        self._found_costs: deque[str] = deque()
        self._priced: set[str] = set()
        self._unpriced: set[str] = set()
        self._states: dict[str, str] = {}
        self._schedules = ScheduleStates(connection, topics, publisher, facts.schedules)
        self._schedules_version: Version | None = None
        self._runs_pace = Pace(RUNS_S)
        self._announced: dict[str, tuple[object, ...]] = {}

    def start(self) -> None:
        """Say that the bridge is there and listen for what concerns it; call once."""
        self._connection.on_connect(self._connected)
        self._connection.retain(self._topics.bridge_state, {"state": "online"})
        # QoS 0: the broker must not fill its queue for us with these while we are away.
        self._connection.subscribe(self._topics.all_availabilities, self._find, qos=0, own=False)
        self._connection.subscribe(self._topics.all_costs, self._find_cost, qos=0)
        if self._topics.discovery_prefix:
            self._connection.subscribe(self._topics.birth, self._born, qos=0)
        self._schedules.start()

    def tick(self) -> None:
        """Do what is due now; what can't be looked up now is done at a later turn."""
        now = time.monotonic()
        # Each by itself: that the database is away is just what the health has to tell.
        if self._health_pace.due(now):
            self._connection.retain(self._topics.bridge_health, self._facts.health())
        try:
            if self._refresh_pace.due(now):
                self._refresh()
            self._follow_schedules()
        except UnavailableError as error:
            log.debug("not everything could be published: %s", error)
        if self._renew_at is not None and now >= self._renew_at:
            self._renew_at = None
            self._connection.renew()

    def publish_schedules(self) -> None:
        """Publish all schedules as they are now. Raises UnavailableError."""
        self._schedules.publish(self._announce_bridge)

    def _follow_schedules(self) -> None:
        """Publish the schedules when one was changed or has run, by whatever process."""
        version = self._facts.version_of(list(self._schedules.known))
        unknown = version is None and self._schedules.known
        if (self._is_news(version) or self._schedules.strangers) and not unknown:
            self.publish_schedules()
            self._schedules_version = version

    def _is_news(self, version: Version | None) -> bool:
        before = self._schedules_version
        if version is None or before is None or version[0] != before[0]:
            return version != before
        ran = [name for name, run in version[1].items() if run != before[1].get(name)]
        if any(not self._schedules.is_quick(name, RUNS_S) for name in ran):
            return True
        return bool(ran) and self._runs_pace.due(time.monotonic())

    def _announce_bridge(self) -> None:
        if self._topics.discovery_prefix:
            schedules, gone = self._schedules.known, self._schedules.gone
            device = bridge_device(self._topics, self._facts.version, schedules, gone)
            self._connection.retain(self._topics.discovery(self._topics.bridge_id), device)

    def _refresh(self) -> None:
        """Publish what changed; the connection knows what is published already."""
        self._connection.retain(self._topics.bridge_info, self._facts.info())
        meters = {info.meter.name: info for info in self._facts.meters()}
        while self._found:
            self._published.add(self._found.popleft())
        self._clear_costs({name for name, info in meters.items() if info.currency is None})
        for name, info in meters.items():
            self._published.add(name)
            self._announce(info)
            self._watch(name, info)
        for name in self._published - meters.keys():
            self._clear(name)

    def _announce(self, info: MeterInfo) -> None:
        unpriced = info.meter.name in self._unpriced
        known = (info.meter, info.profile, info.keys, info.currency, unpriced)
        if self._topics.discovery_prefix and self._announced.get(info.meter.name) != known:
            self._announced[info.meter.name] = known
            topic = self._topics.discovery(self._topics.meter_id(info.meter.name))
            device = meter_device(self._topics, info, self._facts.version, unpriced=unpriced)
            self._connection.retain(topic, device)

    def _watch(self, name: str, info: MeterInfo) -> None:
        """Publish how a meter is doing, also when nothing polls it any more."""
        status = info.status
        overdue = info.interval is not None and status.overdue(self._clock(), info.interval)
        state = "offline" if overdue else status.state
        self._publisher.availability(name, status, state)
        if self._states.get(name, state) != state:
            event = {"meter": name, "reason": status.reason}
            self._publisher.event(f"meter_{state}", event)
        self._states[name] = state

    def _clear_costs(self, unpriced: set[str]) -> None:
        """Remove the costs of meters that have no tariff any more."""
        while self._found_costs:
            self._priced.add(self._found_costs.popleft())
        for name in self._priced & unpriced:
            self._connection.retain(self._topics.meter_cost(name), None)
            self._priced.discard(name)
            self._unpriced.add(name)

    def _clear(self, name: str) -> None:
        """Remove a meter; its availability goes last, as it is what a later start finds."""
        log.info("meter %s is not configured any more: it is removed from MQTT", name)
        if self._topics.discovery_prefix:
            self._connection.retain(self._topics.discovery(self._topics.meter_id(name)), None)
        self._connection.retain(self._topics.meter_state(name), None)
        self._clear_costs({name})
        self._connection.retain(self._topics.meter_availability(name), None)
        self._published.discard(name)
        self._announced.pop(name, None)
        self._states.pop(name, None)

    def _connected(self) -> None:
        """Forget a renewal that is due: connecting has just done it."""
        self._renew_at = None

    def _born(self, message: Message) -> None:
        """Renew all in a moment, as Home Assistant is told to be busy right after its birth."""
        if message.payload == b"online" and not message.retained:
            delay = 0.5 + secrets.SystemRandom().random() * BIRTH_DELAY_S
            self._renew_at = time.monotonic() + delay

    def _find(self, message: Message) -> None:
        """Note a meter that is on the broker; an earlier configuration may have named it."""
        name = self._topics.meter_of(message.topic)
        if name and message.retained and message.payload:
            self._found.append(name)

    def _find_cost(self, message: Message) -> None:
        """Note a meter whose cost is on the broker, by whatever worker published it."""
        name = self._topics.meter_of(message.topic)
        if name and message.payload:
            self._found_costs.append(name)
