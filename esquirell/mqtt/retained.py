"""What should be retained on the broker, compared with what it holds."""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping

from esquirell.domain.payload import read_foreign
from esquirell.domain.reading import measured_at
from esquirell.domain.record import record
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import base_topic_of, following
from esquirell.mqtt.link import Message
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.topics import Topics

log = logging.getLogger(__name__)


@record
class Present:
    """The names of what exists; `schedules` is None while they are unknown."""

    meters: Collection[str]
    priced: Collection[str]
    schedules: Collection[str] | None


class RetainedTopics:
    """Publishes for the bridge, restores what others clear, clears what is obsolete.

    Only topics of ours, or devices that esquirell announced for our base topic, are cleared. All
    methods but the handlers are for the bridge's thread.
    """

    def __init__(self, connection: Connection, topics: Topics, memory: Memory) -> None:
        self._connection = connection
        self._topics = topics
        self._memory = memory
        self._came: deque[tuple[str, bytes]] = deque()
        self._held: dict[str, bytes] = {}
        # The states of our meters that others have published last.
        self._states: dict[str, bytes] = {}
        # What was published here, and for which meter or schedule.
        self._published: dict[str, tuple[str, str]] = {}
        self.on_work: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Subscribe to what others publish; call once, before the connection starts."""
        topics = self._topics
        filters = [
            *(topics.bridge_state, topics.bridge_info, topics.bridge_health),
            *(topics.all_availabilities, topics.all_costs, topics.all_schedules),
            *(topics.all_discoveries if topics.discovery_prefix else ()),
        ]
        for topic_filter in filters:
            # QoS 0: the broker must not fill its queue for us with these while we are disconnected.
            self._connection.subscribe(topic_filter, self._take, qos=0, own=False)
        self._connection.subscribe(topics.meter_state("+"), self._take_state, qos=0, own=False)

    def found(self, held: Mapping[str, bytes]) -> None:
        """Take over what the broker holds, as found on a new connection."""
        self._held = {
            topic: payload
            for topic, payload in held.items()
            if payload != self._connection.retained(topic)
        }

    def held(self, topic: str) -> bytes:
        """Return what others, or an earlier run, have left on a topic; empty if nothing."""
        self._look()
        return self._held.get(topic, b"")

    def state(self, topic: str) -> bytes:
        """Return the state of a meter that others have published last; empty if none."""
        return self._states.get(topic) or self._held.get(topic, b"")

    def publish(self, topic: str, payload: Mapping[str, object], kind: str, name: str) -> None:
        """Publish on behalf of a meter or a schedule (`kind`) with this name."""
        self._published[topic] = kind, name
        self._connection.retain(topic, payload)
        self._memory.note_announced(topic)

    def announce(self, topic: str, device: Mapping[str, object], kind: str, name: str) -> None:
        """Publish a discovery message, after the one that was published here or is held."""
        earlier = self._connection.retained(topic) or self.held(topic)
        self.publish(topic, following(device, earlier), kind, name)

    def adopt(self, topic: str, kind: str, name: str) -> None:
        """Watch a topic that others publish for a meter or its cost (`kind`)."""
        self._published.setdefault(topic, (kind, name))

    def reconcile(self, present: Present) -> None:
        """Restore what was changed; clear what is obsolete, announcements first."""
        self._look()
        stale = [*self._gone(present), *self._left_behind(present)]
        for topic in sorted(stale, key=self._topics.is_ours):
            self._clear(topic)

    def _gone(self, present: Present) -> Iterator[str]:
        """Return what was published here for a meter or schedule that no longer exists."""
        known = {
            "meter": present.meters,
            "cost": present.priced,
            "schedule": present.schedules,
        }
        for topic, (kind, name) in self._published.items():
            names = known[kind]
            if names is not None and name not in names and self._is_there(topic):
                yield topic

    def _is_there(self, topic: str) -> bool:
        """Whether something is retained on a topic, or may be: states come at QoS 0."""
        held = topic in self._held or bool(self._connection.retained(topic))
        return held or self._topics.kind_of(topic) == "state"

    def _left_behind(self, present: Present) -> Iterator[str]:
        """Return what others, or an earlier run, have left."""
        for topic, payload in self._held.items():
            if topic not in self._published and self._is_stale(topic, payload, present):
                yield topic

    def _is_stale(self, topic: str, payload: bytes, present: Present) -> bool:
        topics = self._topics
        match topics.kind_of(topic):
            case "cost":
                return topics.meter_of(topic) not in present.priced
            case "state" | "availability":
                return topics.meter_of(topic) not in present.meters
            case "schedule":
                known = present.schedules
                return known is not None and topics.schedule_of(topic) not in known
            case "schedule discovery":
                return present.schedules is not None and base_topic_of(payload) == topics.base
            case "discovery":
                is_bridge = topic == topics.discovery(topics.bridge_id)
                return not is_bridge and base_topic_of(payload) == topics.base
        return False

    def _clear(self, topic: str) -> None:
        held = self._held.pop(topic, b"")
        payload = self._connection.retained(topic) or held
        self._published.pop(topic, None)
        if payload and not self._topics.is_ours(topic):
            self._memory.note_removed(topic, payload)
        self._states.pop(topic, None)
        log.debug("cleared %s", topic)
        self._connection.retain(topic, None)

    def _take(self, message: Message) -> None:
        self._came.append((message.topic, message.payload))
        # Over MQTT 3.1.1 what was published here comes back.
        if message.payload != self._connection.retained(message.topic):
            self.on_work()

    def _take_state(self, message: Message) -> None:
        """Leave the topic to a newer state; of one moment ours stays, as it was reduced since."""
        topic, kept = message.topic, self._connection.retained(message.topic)
        if message.payload == kept or topic not in self._published:
            return
        self._states[topic] = message.payload
        if not kept:
            return
        theirs, ours = (measured_at(read_foreign(state)) for state in (message.payload, kept))
        if theirs and ours and theirs > ours:
            self._connection.release(topic)
        elif theirs and theirs == ours:
            self._connection.repeat(topic)

    def _look(self) -> None:
        """Handle a retained message; our topics changed by others are published again."""
        while self._came:
            topic, payload = self._came.popleft()
            kept = self._connection.retained(topic)
            if kept and payload == kept:
                continue
            if kept and not (payload and self._is_shared(topic)):
                log.debug("%s was changed by another client and is published again", topic)
                self._connection.repeat(topic)
                continue
            if kept:
                self._connection.release(topic)
            self._held[topic] = payload
            if not payload:
                del self._held[topic]

    def _is_shared(self, topic: str) -> bool:
        """Whether workers elsewhere publish there as well: the latest is right."""
        return self._topics.kind_of(topic) in ("availability", "cost")


def ours(held: Mapping[str, bytes], topics: Topics) -> list[str]:
    """Return the topics that a bridge of this base topic uses, announcements first."""
    found = [
        topic
        for topic, payload in held.items()
        if topics.kind_of(topic)
        and (topics.is_ours(topic) or base_topic_of(payload) == topics.base)
    ]
    return sorted(found, key=topics.is_ours)
