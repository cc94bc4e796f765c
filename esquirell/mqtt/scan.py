"""What the broker retains, read over a short connection."""

import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import replace

from esquirell.domain.errors import UnavailableError
from esquirell.mqtt.link import Link, Message
from esquirell.mqtt.options import Options
from esquirell.mqtt.outbox import encode
from esquirell.mqtt.topics import Topics

LIMIT_S = 10.0
# Not every broker sends retained messages before newer ones.
SETTLE_S = 0.2
WAIT_S = 0.05


def scan(
    options: Options,
    topics: Topics,
    go_on: Callable[[], bool],
    context: ssl.SSLContext | None,
) -> dict[str, bytes]:
    """Return what the broker retains for a bridge of these topics, by topic.

    A message to ourselves on `<base>/bridge/doctor` marks the end; it comes early when `go_on`
    returns False. Raises UnavailableError.
    """
    name = f"esquirell-{secrets.token_hex(6)}"
    reader = _Reader(topics)
    link = Link(replace(options, client_id=name, session_expiry=0), context, reader.take)
    link.open()
    deadline, asked = time.monotonic() + LIMIT_S, False
    while link.up and go_on() and not reader.ended and time.monotonic() < deadline:
        if link.accepted and not asked:
            asked = True
            for topic_filter in (*topics.everything, topics.bridge_doctor):
                link.subscribe(topic_filter, 0, own=True)
            link.ask(topics.bridge_doctor, reader.mark)
        link.run_once(WAIT_S)
    link.close(done=True)
    if not reader.ended:
        raise UnavailableError(link.failure.sentence or f"{options.where} does not answer")
    return reader.found


class _Reader:
    def __init__(self, topics: Topics) -> None:
        self._topic = topics.bridge_doctor
        self.mark = encode({"mark": secrets.token_hex(8)})
        self._marked_at: float | None = None
        self.found: dict[str, bytes] = {}

    @property
    def ended(self) -> bool:
        at = self._marked_at
        return at is not None and time.monotonic() - at > SETTLE_S

    def take(self, message: Message) -> None:
        if message.topic == self._topic:
            if message.payload == self.mark:
                self._marked_at = time.monotonic()
        elif message.payload:
            self.found[message.topic] = message.payload
