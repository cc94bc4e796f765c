"""A subscriber at the broker: the readings that come, and how soon a command is answered."""

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.devices import Device

REQUEST = "esquirell/bridge/request/fetch"
RESPONSE = "esquirell/bridge/response/fetch"
LIMIT_S = 20.0
# Accepted, then the end.
ANSWERS = 2
# Commands come at any moment, not in step with the schedule.
PAUSE_S = (0.1, 0.6)


class Latency(NamedTuple):
    """Milliseconds from the command to its two answers."""

    accepted_ms: float
    ended_ms: float


@contextmanager
def connected(port: int, client: Client) -> Iterator[Client]:
    """Connect a client for as long as the context lasts."""
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def subscribed(port: int, topic: str, client: Client) -> Iterator[Client]:
    """Connect a client and subscribe, for as long as the context lasts. Raises TimeoutError."""
    ready = threading.Event()
    client.on_subscribe = lambda *_: ready.set()
    with connected(port, client):
        client.subscribe(topic, 1)
        if not ready.wait(LIMIT_S):
            raise TimeoutError(f"no subscription to {topic}")
        yield client


@contextmanager
def readings_heard(port: int, note: Callable[[str], None]) -> Iterator[None]:
    """Call `note` with the meter of each new reading, for as long as the context lasts.

    Raises TimeoutError.
    """

    def take(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        if not message.retain:
            note(message.topic.split("/")[2])

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = take
    with subscribed(port, "esquirell/meter/+/state", client):
        yield


class Commander:
    """Sends commands and notes when their answers come.

    Each has a connection of its own: on a shared one the broker's answer would wait 40 ms for the
    acknowledgement of the packet before it (Nagle's algorithm against delayed acknowledgements).
    """

    def __init__(self) -> None:
        self.sending = Client(CallbackAPIVersion.VERSION2)
        self.listening = Client(CallbackAPIVersion.VERSION2)
        self.listening.on_message = self._note
        self._answers: defaultdict[str, list[float]] = defaultdict(list)
        self._news = threading.Condition()

    def ask(self, meter: str, transaction: str) -> Latency:
        """Fetch a meter. Raises TimeoutError."""
        began = time.monotonic()
        request = {"meters": [meter], "transaction": transaction}
        self.sending.publish(REQUEST, json.dumps(request), 1)
        with self._news:
            if not self._news.wait_for(lambda: len(self._answers[transaction]) == ANSWERS, LIMIT_S):
                raise TimeoutError("a command was not answered")
        accepted, ended = self._answers[transaction]
        return Latency((accepted - began) * 1000, (ended - began) * 1000)

    def _note(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        now = time.monotonic()
        with self._news:
            self._answers[json.loads(message.payload)["transaction"]].append(now)
            self._news.notify_all()


def latencies(port: int, meters: Sequence[Device], count: int) -> list[Latency]:
    """Fetch `count` times, one meter after the other. Raises TimeoutError."""
    commander, found = Commander(), []
    with subscribed(port, RESPONSE, commander.listening), connected(port, commander.sending):
        for number in range(count):
            time.sleep(random.uniform(*PAUSE_S))
            found.append(commander.ask(random.choice(meters).name, f"bench-{number}"))
    return found
