"""Keeps the retained topics on the broker up to date: bridge, meters and schedules."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from esquirell.domain.errors import UnavailableError
from esquirell.domain.payload import read_foreign
from esquirell.domain.reading import MeterStatus, hold_s
from esquirell.domain.record import record
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import (
    About,
    MeterInfo,
    bridge_device,
    components_of,
    meter_device,
)
from esquirell.mqtt.link import Message
from esquirell.mqtt.memory import Memory, Place
from esquirell.mqtt.options import Will
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.requests import Pace
from esquirell.mqtt.retained import Present, RetainedTopics, ours
from esquirell.mqtt.schedules import ScheduleStates, States, Version
from esquirell.mqtt.topics import BIRTH, Topics

log = logging.getLogger(__name__)

REFRESH_S = 10.0
HEALTH_S = 60.0
HEALTH_LOOK_S = 10.0
BIRTH_DELAY_S = 3.0
# The longest pause between two rounds, unless there is something new to publish.
REST_S = 5.0
# Home Assistant removes entities in the background: one with the same id has to wait.
REMOVAL_S = 2.0
# A meter that was switched off and has not answered since.
OFF = "off"


@record
class Facts:
    """What the bridge publishes; each call may raise UnavailableError.

    `left_out` are meters that exist, and can't be read as their configuration is damaged.
    """

    about: About
    meters: Callable[[], Sequence[MeterInfo]]
    left_out: Callable[[], Mapping[str, MeterStatus]]
    info: Callable[[], Mapping[str, object]]
    health: Callable[[], Mapping[str, Any]]
    schedules: Callable[[], States]
    version_of: Callable[[Sequence[str]], Version | None]
    clock: Callable[[], datetime]


def will_of(topics: Topics) -> Will:
    """Return the retained state that the bridge's connection leaves behind."""
    return Will(topics.bridge_state, {"state": "offline"})


class Bridge:
    """Announces meters and schedules, watches them, clears removed ones; one per base topic.

    It looks for news of the meters every `refresh_s`, and of the health every `health_look_s`.
    """

    refresh_s = REFRESH_S
    health_look_s = HEALTH_LOOK_S

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        publisher: MqttPublisher,
        facts: Facts,
        memory: Memory,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._publisher = publisher
        self._facts = facts
        self._memory = memory
        self._monotonic = monotonic
        self._retained = RetainedTopics(connection, topics, memory)
        self._schedules = ScheduleStates(self._retained, topics, publisher, facts.about)
        self._refresh_pace = Pace(self.refresh_s)
        self._look_pace = Pace(self.health_look_s)
        self._health_pace = Pace(HEALTH_S)
        self._published_health: object = None
        self._info: Mapping[str, object] = {}
        self._is_new_connection = threading.Event()
        self._is_info_new = threading.Event()
        self._began_at: float | None = None
        self._renew_at: float | None = None
        self._schedules_from = 0.0
        self._meters: dict[str, MeterInfo] = {}
        self._left_out: Mapping[str, MeterStatus] = {}
        self._states: dict[str, str] = {}
        self._announced: dict[str, tuple[object, ...]] = {}
        self._on_news: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Subscribe to what concerns the bridge; call once, before the connection starts."""
        self._connection.on_connect(self._connected)
        for topic in {BIRTH, self._topics.birth} if self._topics.discovery_prefix else ():
            self._connection.subscribe(topic, self._born, qos=0)
        self._retained.start()

    def on_work(self, hook: Callable[[], None]) -> None:
        """Call `hook`, from any thread, when there is something to do before the next round."""
        self._on_news = self._retained.on_work = hook

    def check_soon(self) -> None:
        """Publish changes of health or configuration on the next tick; callable from any thread."""
        self._is_info_new.set()
        self._on_news()

    def tick(self) -> float:
        """Do what is due now; return the seconds until the next round, unless a hook calls earlier.

        What can't be queried now is done on a later round.
        """
        now = self._monotonic()
        self._tick(now)
        moments = (self._renew_at or 0.0, self._schedules_from)
        awaited = [moment - now for moment in moments if moment > now]
        return min(REST_S, self._schedules.left_s(now), *awaited)

    def _tick(self, now: float) -> None:
        # Each separately: an unreachable database is exactly what health must report.
        if self._look_pace.due(now):
            self._report_health(now)
        if self._is_new_connection.is_set():
            self._is_new_connection.clear()
            self._begin(now)
        if self._began_at is None:
            return
        if self._is_info_new.is_set():
            self._is_info_new.clear()
            self._publish_info()
        try:
            self._follow(now)
        except UnavailableError as error:
            log.debug("not everything could be published: %s", error)
        if self._renew_at is not None and now >= self._renew_at:
            self._renew_at = None
            self._introduce_again()

    def _report_health(self, now: float) -> None:
        """Publish health every minute, and at once when a problem appears or ends."""
        report = self._facts.health()
        facts = _key_facts(report)
        if self._health_pace.due(now) or facts != self._published_health:
            self._published_health = facts
            self._connection.retain(self._topics.bridge_health, report)

    def _follow(self, now: float) -> None:
        if self._refresh_pace.due(now):
            self._refresh()
            # Last: until then, what the broker holds may be outdated.
            online = {"state": "online"}
            self._connection.retain(self._topics.bridge_state, online, last=True)
        if now >= self._schedules_from:
            self._schedules.follow(self._facts.schedules, self._facts.version_of, now)
        priced = [name for name, info in self._meters.items() if info.currency]
        meters, priced = {*self._meters, *self._left_out}, [*priced, *self._left_out]
        self._retained.reconcile(Present(meters, priced, self._schedules.known))

    def _begin(self, now: float) -> None:
        """Read what the broker holds on a new connection, before announcing anything."""
        try:
            self._leave_earlier_place()
            self._retained.found(self._connection.scan(self._topics))
        except UnavailableError as error:
            log.warning("what the broker holds can't be read, so nothing is cleared: %s", error)
        if self._topics.discovery_prefix:
            self._announce_bridge(now)
        if self._began_at is None:
            self._began_at = now
        self._refresh_pace = Pace(self.refresh_s)

    def _leave_earlier_place(self) -> None:
        """Clear what was published under another base topic or discovery prefix before."""
        here = Place(self._topics.base, self._topics.discovery_prefix)
        before = self._memory.published
        if before is not None and before != here:
            topics = Topics(before.base_topic, before.discovery_prefix)
            if topics.base != self._topics.base and self._connection.holder_of(topics):
                log.info(
                    "another esquirell serves base_topic %s now: left alone",
                    topics.base,
                )
            else:
                self._clear_place(topics)
        self._memory.note_published(here)

    def _clear_place(self, topics: Topics) -> None:
        found = ours(self._connection.scan(topics), topics)
        log.info("cleared %d topics under %s", len(found), topics.base)
        for topic in found:
            same_base = topics.base == self._topics.base and topics.is_ours(topic)
            if not same_base:
                self._connection.retain(topic, None)

    def _announce_bridge(self, now: float) -> None:
        topic = self._topics.discovery(self._topics.bridge_id)
        plain = bridge_device(self._topics, self._facts.about)
        gone = components_of(self._retained.held(topic)).items()
        left = {key: platform for key, platform in gone if key not in _keys(plain)}
        if left:
            self._schedules_from = now + REMOVAL_S
        device = bridge_device(self._topics, self._facts.about, left)
        self._connection.retain(topic, device)

    def _refresh(self) -> None:
        """Publish what has changed; the connection knows what is published already."""
        self._publish_info()
        before, self._meters = self._meters, {i.meter.name: i for i in self._facts.meters()}
        for name in before.keys() - self._meters.keys():
            log.info("meter %s is no longer configured: removed from MQTT", name)
            self._publisher.forget(name)
            self._announced.pop(name, None)
            self._states.pop(name, None)
        for name, info in self._meters.items():
            self._adopt(name)
            self._announce(info)
            self._watch(name, info)
        self._left_out = self._facts.left_out()
        for name, status in self._left_out.items():
            # Home Assistant keeps the device, as an earlier run announced it.
            self._adopt(name)
            self._retained.adopt(self._topics.discovery(self._topics.meter_id(name)), "meter", name)
            self._publisher.availability(name, status, "offline")
            self._withdraw(name, None)

    def _adopt(self, name: str) -> None:
        self._retained.adopt(self._topics.meter_state(name), "meter", name)
        self._retained.adopt(self._topics.meter_availability(name), "meter", name)
        self._retained.adopt(self._topics.meter_cost(name), "cost", name)

    def _publish_info(self) -> None:
        """Publish `bridge/info` if it has changed: with the schemas of all commands it is long."""
        info = self._facts.info()
        if info != self._info:
            self._connection.retain(self._topics.bridge_info, info)
            self._info = info

    def _announce(self, info: MeterInfo) -> None:
        name = info.meter.name
        known = (info.meter, info.profile, info.keys, info.currency, info.mac, info.serial)
        if not self._topics.discovery_prefix or self._announced.get(name) == known:
            return
        topic = self._topics.discovery(self._topics.meter_id(name))
        if not info.is_known and self._retained.held(topic):
            # The announcement of an earlier run stays until the meter has answered during this one.
            self._retained.adopt(topic, "meter", name)
            return
        self._announced[name] = known
        device = meter_device(self._topics, info, self._facts.about)
        self._retained.announce(topic, device, "meter", name)

    def _watch(self, name: str, info: MeterInfo) -> None:
        """Publish a meter's availability, even if nothing polls it any more."""
        status = info.status
        held = read_foreign(self._retained.held(self._topics.meter_availability(name)))
        state = self._state(name, info, held)
        if not _says(held, status, state):
            self._publisher.availability(name, status, state, reported=True)
        if state == "offline":
            self._withdraw(name, info.interval)
        before = self._states.get(name, state)
        # Disabling a meter is deliberate: neither that nor what follows from it is an event.
        if not info.meter.enabled or (before == OFF and state == "offline"):
            state = OFF
        elif before not in (state, OFF):
            self._publisher.event(f"meter_{state}", {"meter": name, "reason": status.reason})
        self._states[name] = state

    def _state(self, name: str, info: MeterInfo, held: Mapping[str, object]) -> str:
        """Return the state of a meter; `held` is the availability that others have published."""
        status = info.status
        overdue = info.interval is not None and status.overdue(self._facts.clock(), info.interval)
        waits = held.get("state") == "offline" and held.get("last_success") == status.time
        if overdue or not info.meter.enabled or (waits and status.time):
            return "offline"
        return self._publisher.state_of(name, status)

    def _withdraw(self, name: str, interval: float | None) -> None:
        """Clear the values of an offline meter that no longer hold."""
        state = self._retained.state(self._topics.meter_state(name))
        self._publisher.withdraw(name, state, hold_s(interval))

    def _introduce_again(self) -> None:
        """Publish everything again for a Home Assistant that has just started.

        It would keep devices forever that were removed while it was down: it forgets a device only
        if that is announced to it and then removed.
        """
        for topic, announcement in self._memory.removed.items():
            self._connection.send(topic, announcement.encode())
            self._connection.send(topic, b"")
        self._memory.forget_removed()
        self._connection.renew()

    def _connected(self) -> None:
        # Connecting publishes everything, so a pending renewal is done.
        self._renew_at = None
        self._is_new_connection.set()
        self._on_news()

    def _born(self, message: Message) -> None:
        """Publish everything again in a moment: Home Assistant is busy right after its birth."""
        if message.payload == b"online" and not message.retained:
            delay = 0.5 + secrets.SystemRandom().random() * BIRTH_DELAY_S
            self._renew_at = self._monotonic() + delay
            self._on_news()


def _key_facts(report: Mapping[str, Any]) -> object:
    """Return the parts of a health report worth publishing at once: problems and live roles."""
    processes = [
        (process["host"], process["roles"], process.get("standing_by"), "gone_s" in process)
        for process in report.get("processes", ())
    ]
    return report.get("problems"), report.get("meters_failing"), processes


def _keys(device: Mapping[str, object]) -> Sequence[str]:
    components = device["components"]
    return list(components) if isinstance(components, Mapping) else []


def _says(shape: Mapping[str, object], status: MeterStatus, state: str) -> bool:
    """Whether a worker has published this availability already."""
    found = tuple(shape.get(name) for name in ("state", "reason", "failures"))
    return found == (state, status.reason, status.failures)
