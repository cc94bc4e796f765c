"""What goes over a connection: subscriptions, messages both ways, acknowledgements."""

import logging
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from paho.mqtt.client import topic_matches_sub

from esquirell.mqtt import reasons
from esquirell.mqtt.inbox import Inbox
from esquirell.mqtt.link import Link, Message
from esquirell.mqtt.options import Options
from esquirell.mqtt.outbox import Outbox, Outgoing
from esquirell.mqtt.packet_limit import PacketLimit

log = logging.getLogger(__name__)

# Who waits for the broker looks at time limits; otherwise what is to be sent ends the wait.
TURN_S = 1.0
IDLE_TURN_S = 5.0

Handler = Callable[[Message], None]


class Subscription(NamedTuple):
    """A filter and what takes its messages; `keeps`: it acknowledges them itself."""

    filter: str
    qos: int
    handler: Handler
    keeps: bool
    own: bool


class Traffic:
    """Serves one link after the other, in the thread of the connection.

    `subscriptions` and `handled` (messages to acknowledge) may grow meanwhile; `confirmed` gets
    the seconds that the broker took for each message.
    """

    def __init__(self, outbox: Outbox, confirmed: Callable[[float], None]) -> None:
        self._outbox = outbox
        self._on_confirmed = confirmed
        self._inbox = Inbox()
        self._limit = PacketLimit()
        # Taken from the outbox, and to be sent next.
        self._next: Outgoing | None = None
        self.subscriptions: list[Subscription] = []
        self.handled: deque[Message] = deque()
        self.confirmed_at: datetime | None = None
        self.too_large: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether all that was to be sent is on its way to the broker."""
        return self._outbox.empty and self._next is None

    def serve(
        self,
        link: Link,
        options: Options,
        greet: Callable[[], None],
        done: Callable[[Link], bool],
    ) -> None:
        """Open a link and keep it until it ends, or all is `done`; `greet` is called once."""
        try:
            link.open()
            greeted, subscribed = False, 0
            while link.up and not done(link):
                if link.accepted:
                    if not greeted:
                        self._begin(link)
                    subscribed = self._subscribe(link, subscribed)
                    if not greeted:
                        greet()
                        greeted = True
                    self._acknowledge(link)
                    self._flush(link, options)
                rests = link.accepted and self.idle and not link.unconfirmed
                link.turn(IDLE_TURN_S if rests else TURN_S)
        finally:
            self._part(link)

    def confirmed(self, message: Outgoing, seconds: float) -> None:
        """Note that the broker confirmed a message."""
        self._limit.confirmed(message.size)
        self._outbox.confirmed(message)
        self.confirmed_at = datetime.now(UTC)
        self._on_confirmed(seconds)

    def receive(self, message: Message) -> None:
        """Pass a message to the handlers of its filters."""
        if not self._inbox.take(message):
            return
        kept = False
        for subscription in self.subscriptions:
            if topic_matches_sub(subscription.filter, message.topic):
                kept |= _hand_over(message, subscription.handler) and subscription.keeps
        if not kept:
            self._inbox.finish(message)

    def _begin(self, link: Link) -> None:
        self._inbox.opened(resumed=link.resumed)
        self._limit.opened(link.largest_packet)

    def _subscribe(self, link: Link, known: int) -> int:
        for subscription in self.subscriptions[known:]:
            link.subscribe(subscription.filter, subscription.qos, own=subscription.own)
            known += 1
        return known

    def _acknowledge(self, link: Link) -> None:
        while self.handled:
            self._inbox.finish(self.handled.popleft())
        self._inbox.acknowledge(link)

    def _flush(self, link: Link, options: Options) -> None:
        while link.has_room:
            self._next = message = self._next or self._outbox.take()
            if message is None:
                return
            if not self._limit.allows(message.size):
                self._leave_out(message, options)
            elif self._limit.wants_alone(message.size) and link.unconfirmed:
                return
            else:
                self.too_large.discard(message.topic)
                self._next = None
                link.send(message)

    def _leave_out(self, message: Outgoing, options: Options) -> None:
        """Go on without a message that the broker does not take."""
        self._next = None
        if message.instead is not None:
            # Those who wait for it get this error.
            self._next = message._replace(payload=message.instead, instead=None)
        elif message.topic not in self.too_large:
            self.too_large.add(message.topic)
            limit = self._limit.bytes or 0
            log.warning("%s", reasons.too_large(message.topic, message.size, limit, options))

    def _part(self, link: Link) -> None:
        if link.accepted:
            self._acknowledge(link)
            self._inbox.closed()
        link.close(done=self.idle and not link.unconfirmed)
        self._limit.cut([message.size for message in link.unconfirmed])
        self._outbox.give_back([*link.unconfirmed, *([self._next] if self._next else [])])
        self._next = None


def _hand_over(message: Message, handler: Handler) -> bool:
    """Pass a message to a handler; return whether that went well."""
    try:
        handler(message)
    except Exception:
        # An error in another part must not end the connection.
        log.exception("a message on %s could not be handled", message.topic)
        return False
    return True
