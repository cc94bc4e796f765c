"""The traffic of a connection: subscriptions, and messages both ways."""

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from paho.mqtt.client import topic_matches_sub

from esquirell.mqtt import reasons
from esquirell.mqtt.inbox import Inbox
from esquirell.mqtt.link import Link, Message
from esquirell.mqtt.options import Options
from esquirell.mqtt.outbox import Outbox, Outgoing, PacketLimit

log = logging.getLogger(__name__)

# While an answer of the broker is awaited, time limits are checked this often; otherwise a message
# to send ends the wait.
WAIT_S = 1.0
IDLE_WAIT_S = 5.0
# A refused message is sent again after this time: the broker's rules may have changed.
REFUSED_AGAIN_S = 10.0
# A refused event counts as a problem for at least this long, so that two health messages name it.
EVENT_NAMED_S = 120.0

Handler = Callable[[Message], None]


class Subscription(NamedTuple):
    """A filter and the handler of its messages; `keeps`: the handler acknowledges them itself."""

    filter: str
    qos: int
    handler: Handler
    keeps: bool
    own: bool


class Traffic:
    """Serves one link after the other, in the connection's thread.

    `subscriptions` and `handled` (messages to acknowledge) may grow meanwhile; `confirmed` gets the
    seconds that the broker took for each message.
    """

    def __init__(
        self,
        outbox: Outbox,
        confirmed: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        # When what was refused is tried again.
        self._again_at = 0.0
        self._outbox = outbox
        self._on_confirmed = confirmed
        self._inbox = Inbox()
        self._limit = PacketLimit()
        # Taken from the outbox, to be sent next.
        self._next: Outgoing | None = None
        self.subscriptions: list[Subscription] = []
        self.handled: deque[Message] = deque()
        self.confirmed_at: datetime | None = None
        self.too_large: set[str] = set()

    @property
    def idle(self) -> bool:
        """Whether everything queued has been handed to the broker."""
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
                    self._repeat_refused(link)
                    self._flush(link, options)
                rests = link.accepted and self.idle and not link.unconfirmed
                link.run_once(IDLE_WAIT_S if rests else WAIT_S)
        finally:
            self._part(link)

    def confirmed(self, message: Outgoing, seconds: float) -> None:
        """Record that the broker confirmed a message."""
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
        self._again_at = self._clock() + REFUSED_AGAIN_S

    def _subscribe(self, link: Link, known: int) -> int:
        for subscription in self.subscriptions[known:]:
            _ask_for(link, subscription)
            known += 1
        return known

    def _acknowledge(self, link: Link) -> None:
        while self.handled:
            self._inbox.finish(self.handled.popleft())
        self._inbox.acknowledge(link)

    def _repeat_refused(self, link: Link) -> None:
        """Send and subscribe to again what the broker refused: it may allow that by now."""
        if self._clock() < self._again_at:
            return
        self._again_at = self._clock() + REFUSED_AGAIN_S
        for topic, refused_at in sorted(link.denied.items()):
            if self._outbox.kept(topic) is not None:
                self._outbox.repeat(topic)
            elif self._clock() - refused_at > EVENT_NAMED_S:
                # An event or an answer: only the next one would show.
                del link.denied[topic]
        for subscription in self.subscriptions:
            if subscription.filter in link.unreadable:
                _ask_for(link, subscription)

    def _flush(self, link: Link, options: Options) -> None:
        while link.has_room:
            self._next = message = self._next or self._outbox.take()
            if message is None:
                return
            size = message.size
            if not self._limit.allows(size):
                self._leave_out(message, options)
            elif self._limit.wants_alone(size) and link.unconfirmed:
                return
            else:
                self.too_large.discard(message.topic)
                self._next = None
                link.send(message)

    def _leave_out(self, message: Outgoing, options: Options) -> None:
        """Skip a message that the broker does not accept."""
        self._next = None
        if message.instead is not None:
            # The caller that waits for it gets this error.
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


def _ask_for(link: Link, subscription: Subscription) -> None:
    """Ask for the messages; a handler that keeps them also learns which are to be retained."""
    filter_, qos, _, keeps, own = subscription
    link.subscribe(filter_, qos, own=own, as_published=keeps)


def _hand_over(message: Message, handler: Handler) -> bool:
    """Pass a message to a handler; return whether that succeeded."""
    try:
        handler(message)
    except Exception:
        # An error in another part must not end the connection.
        log.exception("a message on %s could not be handled", message.topic)
        return False
    return True
