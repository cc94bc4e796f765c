"""MQTT: the connection of this process to the broker, and what publishes over it."""

from collections.abc import Callable
from functools import cached_property

from esquirell.domain.clock import Clock
from esquirell.mqtt.bridge import will_of
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.client import Connection
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.rights import RightsCheck
from esquirell.mqtt.topics import Topics
from esquirell.runtime.connections import options_of
from esquirell.settings import Settings, load


class Mqtt:
    """What stands on the connection to the broker; built on first use.

    `settings` returns those in force. `bridges` means that this process is the bridge: its
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
        """The topics."""
        mqtt = self._settings().mqtt
        return Topics(mqtt.base_topic, mqtt.discovery_prefix)

    @cached_property
    def connection(self) -> Connection:
        """The connection to the broker."""
        options = options_of(self._settings(), bridges=self.bridges)
        if not self.bridges:
            return Connection(options, password=_password)
        return Connection(options, will_of(self.topics), Claim(self.topics), _password)

    @cached_property
    def publisher(self) -> MqttPublisher:
        """Publishes what belongs to the meters."""
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
