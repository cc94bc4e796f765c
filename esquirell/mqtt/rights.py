"""What the broker allows us to do, tested with messages to ourselves."""

import secrets
import time

from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.topics import Topics

# As large as the announcement of a meter with several phases and many circuits.
SIZE = 16 * 1024
LIMIT_S = 6.0
LOOK_EVERY_S = 0.02


class RightsCheck:
    """Sends a message as large as an announcement, and one to where devices are announced.

    The latter is empty and not retained: Home Assistant ignores it. A message that has not come
    back after `limit_s` seconds counts as lost.
    """

    def __init__(self, connection: Connection, topics: Topics, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._connection = connection
        # What is sent where, and which topics the right concerns.
        self._sent = {topics.bridge_doctor: secrets.token_hex(SIZE // 2).encode()}
        self._rights = {topics.bridge_doctor: f"{topics.base}/#"}
        if topics.discovery_prefix:
            announced = topics.discovery(f"{topics.bridge_id}_doctor")
            self._sent[announced] = b""
            self._rights[announced] = f"{topics.discovery_prefix}/device/#"
        self._came: set[str] = set()
        self._connects = 0

    def listen(self) -> None:
        """Subscribe; call once, before the connection starts."""
        self._connection.on_connect(self._connected)
        for topic in self._sent:
            self._connection.subscribe(topic, self._take, qos=0)

    def problems(self) -> list[str]:
        """Send the messages; return what is missing, one sentence each."""
        for topic, payload in self._sent.items():
            self._connection.send(topic, payload)
        deadline = time.monotonic() + self._limit_s
        while time.monotonic() < deadline and self._came < self._sent.keys():
            time.sleep(LOOK_EVERY_S)
        return [self._problem(topic) for topic in self._sent if topic not in self._came]

    def _problem(self, topic: str) -> str:
        report = self._connection.report()
        right = self._rights[topic]
        if topic in report.get("too_large", ()):
            return f"the broker does not take {SIZE} bytes at once: raise its limit"
        if topic in report.get("denied", ()):
            return f"it does not let us publish to {topic}: allow this user to write {right}"
        if topic in report.get("unreadable", ()):
            return f"it does not let us subscribe to {topic}: allow this user to read {right}"
        if self._connects > 1 or not self._connection.connected:
            return f"it cuts the connection at a message of {SIZE} bytes: raise its limit"
        return f"{topic} does not come back to us: allow this user to read and write {right}"

    def _connected(self) -> None:
        self._connects += 1

    def _take(self, message: Message) -> None:
        if message.payload == self._sent[message.topic]:
            self._came.add(message.topic)
