"""A plain paho client that writes down what it sees."""

import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from support.mosquitto import Mosquitto
from support.waiting import LIMIT_S, eventually


class Seen(NamedTuple):
    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None = None

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        return json.loads(self.payload)


class Observer:
    """Subscribes to `filters`; `saw` waits for a message, with a time limit."""

    def __init__(
        self,
        port: int,
        *filters: str,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self.messages: list[Seen] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._filters = [(topic_filter, 1) for topic_filter in filters or ("#",)]
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        if credentials:
            self._client.username_pw_set(*credentials)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        assert self._subscribed.wait(LIMIT_S), "the observer could not subscribe"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        # Which it is not at once when the broker has just come back.
        eventually(self._client.is_connected, LIMIT_S, "the observer is connected")
        self._client.publish(topic, payload, 1, retain).wait_for_publish(LIMIT_S)

    def saw(self, wanted: Callable[[Seen], bool]) -> Seen:
        """Return the first message, already seen or yet to come, that is wanted."""
        with self._news:
            found = self._news.wait_for(lambda: next(filter(wanted, self.messages), None), LIMIT_S)
        assert found, (
            f"not seen; but: {[(seen.topic, seen.payload[:80]) for seen in self.messages]}"
        )
        return found

    def forget(self) -> None:
        with self._news:
            self.messages.clear()

    def of(self, topic: str) -> list[Seen]:
        with self._news:
            return [seen for seen in self.messages if seen.topic == topic]

    def _on_connect(
        self, client: Client, _u: object, _f: ConnectFlags, _c: ReasonCode, _p: Properties | None
    ) -> None:
        client.subscribe(self._filters)

    def _on_subscribe(
        self, _c: Client, _u: object, _m: int, _codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._subscribed.set()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        with self._news:
            correlation = getattr(message.properties, "CorrelationData", None)
            seen = Seen(message.topic, bytes(message.payload), message.retain, correlation)
            self.messages.append(seen)
            self._news.notify_all()


def is_end(seen: Seen) -> bool:
    """Whether a command's answer is its last one."""
    return bool(seen.json["status"] != "accepted")


def retained(port: int, topic_filter: str = "#") -> dict[str, bytes]:
    """Return what the broker holds for those who come anew."""
    end = "esquirell-tests/end-of-retained"
    with Observer(port, topic_filter, end) as observer:
        # What is retained is sent before what is published after the subscription.
        observer.publish(end, b"1")
        observer.saw(lambda seen: seen.topic == end)
        return {seen.topic: seen.payload for seen in observer.messages if seen.retained}


def about(name: str, broker: Mosquitto) -> list[str]:
    """Return the retained topics about a meter."""
    return [topic for topic in retained(broker.port) if name in topic]
