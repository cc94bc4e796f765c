"""How soon a command is answered: `accepted`, and its end."""

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.devices import Device

REQUEST = "esquirell/bridge/request/fetch"
RESPONSE = "esquirell/bridge/response/fetch"
LIMIT_S = 20.0
# Commands come at any moment, not in step with the schedule.
PAUSE_S = (0.1, 0.6)


class Latency(NamedTuple):
    """Milliseconds from the command to its two answers."""

    accepted_ms: float
    ended_ms: float


@contextmanager
def subscribed(port: int, topic: str, client: Client) -> Iterator[Client]:
    """Connect a client and subscribe, for as long as the context lasts."""
    ready = threading.Event()
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topic, 1)
    if not ready.wait(LIMIT_S):
        raise TimeoutError(f"no subscription to {topic}")
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def latencies(port: int, meters: Sequence[Device], count: int) -> list[Latency]:
    """Fetch `count` times, one meter after the other. Raises TimeoutError."""
    answers: dict[str, list[float]] = {}
    news = threading.Condition()

    def note(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        with news:
            now = time.monotonic()
            transaction = json.loads(message.payload).get("transaction")
            answers.setdefault(transaction, []).append(now)
            news.notify_all()

    def ask(transaction: str) -> Latency:
        time.sleep(random.uniform(*PAUSE_S))
        wish = {"meters": [random.choice(meters).name], "transaction": transaction}
        began = time.monotonic()
        client.publish(REQUEST, json.dumps(wish), 1)
        with news:
            if not news.wait_for(lambda: len(answers.get(transaction, ())) >= 2, LIMIT_S):  # noqa: PLR2004 - accepted, then the end
                raise TimeoutError("a command was not answered")
        accepted, ended = answers[transaction][:2]
        return Latency((accepted - began) * 1000, (ended - began) * 1000)

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = note
    with subscribed(port, RESPONSE, client):
        return [ask(f"bench-{number}") for number in range(count)]
