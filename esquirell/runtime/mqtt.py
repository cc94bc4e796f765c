"""MQTT: this process' connection, what publishes over it, what others publish, and leaving."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.errors import UnavailableError
from esquirell.domain.numbers import finite
from esquirell.domain.payload import read_foreign
from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.reading import Reading, measured_at
from esquirell.mqtt.bridge import will_of
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.client import Connection
from esquirell.mqtt.echo import Echo
from esquirell.mqtt.link import Message
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.retained import ours
from esquirell.mqtt.rights import RightsCheck
from esquirell.mqtt.topics import Topics
from esquirell.runtime.connections import options_of
from esquirell.settings import Settings, load
from esquirell.settings.state_files import MQTT_MEMORY

REACH_S = 12.0
CLEAR_S = 30.0
LOOK_EVERY_S = 0.05
STOP_S = 3.0
CLOSE_S = 1.0


class Mqtt:
    """The connection to the broker and what uses it; built on first use.

    `settings` returns the current ones. `bridges` means that this process is the bridge: its
    connection then acts for it.
    """

    bridges = False

    def __init__(self, settings: Callable[[], Settings], clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._paced_by: Settings | None = None
        self._paces: dict[str, int] = {}

    @property
    def is_connected(self) -> bool:
        """Whether this process keeps a connection to the broker, up or not."""
        return "connection" in self.__dict__ and self.connection.alive()

    @cached_property
    def topics(self) -> Topics:
        mqtt = self._settings().mqtt
        return Topics(mqtt.base_topic, mqtt.discovery_prefix)

    @cached_property
    def connection(self) -> Connection:
        options = options_of(self._settings(), bridges=self.bridges)
        if not self.bridges:
            return Connection(options, password=_password)
        claim, echo = Claim(self.topics), Echo(self.topics.bridge_doctor)
        return Connection(options, will_of(self.topics), claim, _password, echo)

    @cached_property
    def publisher(self) -> MqttPublisher:
        """Publishes readings, availability and events of the meters."""
        return MqttPublisher(self.connection, self.topics, self._publish_every, self._clock)

    @cached_property
    def rights_check(self) -> RightsCheck:
        """Tests what the broker allows us to do."""
        return RightsCheck(self.connection, self.topics)

    def _publish_every(self, name: str) -> int:
        """Return how often (s) a meter's readings are published; called for each reading."""
        settings = self._settings()
        if settings is not self._paced_by:
            self._paces = {meter.name: meter.publish_every for meter in settings.meters}
            self._paced_by = settings
        return self._paces.get(name, 0)


def _password() -> str:
    """Read the broker's password as currently configured. Raises ConfigError."""
    return load().mqtt.password.get_secret_value()


def leave_broker(settings: Settings) -> list[str]:
    """Clear all our retained topics and the session of the bridge; return the topics.

    Raises UnavailableError while the broker can't be reached, or a service uses it.
    """
    topics = Topics(settings.mqtt.base_topic, settings.mqtt.discovery_prefix)
    connection = Connection(options_of(settings, bridges=False))
    connection.start()
    try:
        _reach(connection)
        found = _clear(connection, topics)
    finally:
        connection.stop(STOP_S)
    Connection(options_of(settings, bridges=True)).end_session()
    memory = Memory(settings.state_dir / MQTT_MEMORY)
    memory.forget_everything()
    return found


def _reach(connection: Connection) -> None:
    deadline = time.monotonic() + REACH_S
    while not connection.connected:
        if connection.trouble or time.monotonic() > deadline:
            raise UnavailableError(connection.trouble or "the MQTT broker does not answer")
        time.sleep(LOOK_EVERY_S)


def _clear(connection: Connection, topics: Topics) -> list[str]:
    holder = connection.holder_of(topics)
    if holder is not None:
        raise UnavailableError(
            f"esquirell on {holder} serves base_topic {topics.base!r} and would "
            "republish everything: stop it first"
        )
    found = ours(connection.scan(topics), topics)
    for topic in found:
        connection.retain(topic, None)
    deadline = time.monotonic() + CLEAR_S
    while connection.report()["unconfirmed"]:
        if time.monotonic() > deadline:
            raise UnavailableError("the MQTT broker does not confirm that the topics are cleared")
        time.sleep(LOOK_EVERY_S)
    return found


@contextmanager
def published(
    settings: Settings,
    take: Callable[[Reading], None],
    note: Callable[[Mapping[str, Any]], None],
) -> Iterator[None]:
    """Pass on each published or retained reading and each event, until the end."""
    topics = Topics(settings.mqtt.base_topic, settings.mqtt.discovery_prefix)
    connection = Connection(options_of(settings, bridges=False))

    def receive(message: Message) -> None:
        reading = _read_state(topics.meter_of(message.topic), message.payload)
        if reading is not None:
            take(reading)

    def receive_event(message: Message) -> None:
        if event := read_foreign(message.payload):
            note(event)

    connection.subscribe(topics.meter_state("+"), receive, qos=0)
    connection.subscribe(topics.bridge_event, receive_event, qos=0)
    connection.start()
    try:
        yield
    finally:
        connection.stop(CLOSE_S)


def _read_state(meter: str, payload: bytes) -> Reading | None:
    """Return the reading in the published state of a meter; None if there is none."""
    state = read_foreign(payload)
    moment = measured_at(state)
    if moment is None:
        return None
    try:
        diagnostics = dict(state.get("diagnostics") or {})
        hints = tuple(map(str, diagnostics.pop("hints", ())))
        warnings = (*map(str, diagnostics.pop("warnings", ())), *hints)
    except (ValueError, TypeError):
        return None
    numbers = {key: finite(value) for key, value in state.items() if is_quantity_key(key)}
    values = {key: number for key, number in numbers.items() if number is not None}
    return Reading(meter, moment, values, diagnostics, warnings, hints)
