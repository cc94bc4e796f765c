"""One bridge per base topic: of several, one is connected and the others stand by."""

import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from esquirell.domain.payload import read_foreign
from esquirell.mqtt.link import NO_FAILURE, Failure, Link, Message
from esquirell.mqtt.options import Options
from esquirell.mqtt.outbox import encode
from esquirell.mqtt.topics import Topics

log = logging.getLogger(__name__)

# A bridge answers at once, in its connection's thread; the network may be slow.
HOLDER_LIMIT_S = 2.0
# Long enough for a bridge that has just connected and is not online yet.
NOBODY_LIMIT_S = 0.3
ECHO_LIMIT_S = 3.0
WAIT_S = 0.1
# Anybody may ask under any name: neither the log nor memory grows with invented ones.
HOSTS_WARNED_ABOUT = 20
LONGEST_HOST = 64


@dataclass(slots=True)
class ClaimStatus:
    """Who uses a base topic: `holder` is the machine whose bridge serves it.

    `last_seen` is when a bridge was last connected. With `failure` nothing is known.
    """

    holder: str | None = None
    last_seen: datetime | None = None
    failure: Failure = NO_FAILURE


class Claim:
    """Asks, before a bridge connects, whether another one is there; answers such requests.

    With two clients of the same name, brokers accept the newer and disconnect the older, so two
    bridges would disconnect each other forever.
    """

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._instance = secrets.token_hex(8)
        self._host = socket.gethostname()
        self._seen: set[str] = set()

    @property
    def topic(self) -> str:
        """The topic of these requests and their answers."""
        return self._topics.bridge_claim

    def look(
        self, options: Options, context: ssl.SSLContext | None, go_on: Callable[[], bool]
    ) -> ClaimStatus:
        """Connect briefly under another name and return which bridge serves the base topic.

        Ends early when `go_on` returns False.
        """
        name = f"{options.client_id or 'esquirell'}-{secrets.token_hex(4)}"
        search = _Search(self._topics, self._instance)
        link = Link(replace(options, client_id=name, session_expiry=0), context, search.handle)
        link.open()
        asked = False
        while link.up and go_on() and not (asked and search.ended):
            if link.accepted and not asked:
                asked = True
                for topic in (self._topics.bridge_state, self._topics.bridge_health, self.topic):
                    link.subscribe(topic, 0, own=True)
                search.asked_at = time.monotonic()
                link.ask(self.topic, encode({"asked_by": self._instance, "host": self._host}))
            link.run_once(WAIT_S)
        link.close(done=True)
        if not link.accepted:
            search.found.failure = link.failure
        return search.found

    def reply(self, message: Message) -> Mapping[str, object] | None:
        """Return the answer to another bridge's request, if the message is one."""
        question = read_foreign(message.payload)
        if question.get("asked_by", self._instance) == self._instance:
            return None
        host = str(question.get("host"))[:LONGEST_HOST]
        if host not in self._seen and len(self._seen) < HOSTS_WARNED_ABOUT:
            self._seen.add(host)
            log.warning(
                "another esquirell, on %s, has the same base_topic in [mqtt] and stands by: give "
                "it another one if both are to run",
                host,
            )
        return {"held_by": self._instance, "host": self._host}

    def held_by(self, host: str, options: Options) -> str:
        """Return the sentence that says that another bridge serves the base topic."""
        return (
            f"another esquirell, on {host}, serves base_topic {self._topics.base!r} at "
            f"{options.where}: this one stands by; give it another base_topic in [mqtt] if both "
            "are to run"
        )


class _Search:
    """Listens for users of a base topic; our own request, echoed, is the end mark."""

    def __init__(self, topics: Topics, instance: str) -> None:
        self._topics = topics
        self._instance = instance
        self._online = False
        self._echoed_at: float | None = None
        self.asked_at = 0.0
        self.found = ClaimStatus()

    @property
    def ended(self) -> bool:
        """Whether enough is known, or no answer comes."""
        now = time.monotonic()
        if self.found.holder is not None:
            return True
        if self._echoed_at is None:
            return now - self.asked_at > ECHO_LIMIT_S
        return now - self._echoed_at > (HOLDER_LIMIT_S if self._online else NOBODY_LIMIT_S)

    def handle(self, message: Message) -> None:
        content = read_foreign(message.payload)
        if message.topic == self._topics.bridge_state:
            self._online = content.get("state") == "online"
        elif message.topic == self._topics.bridge_health:
            self.found.last_seen = _moment(content.get("at"))
        elif content.get("asked_by") == self._instance:
            self._echoed_at = time.monotonic()
        elif content.get("held_by", self._instance) != self._instance:
            self.found.holder = str(content.get("host"))


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
