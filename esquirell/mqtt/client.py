"""The connection to the broker as the rest of the program sees it: there, for ever."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from paho.mqtt.client import topic_matches_sub

from esquirell.mqtt.inbox import Inbox
from esquirell.mqtt.link import Link, Message
from esquirell.mqtt.options import Options, Will, tls_context
from esquirell.mqtt.outbox import Outbox
from esquirell.mqtt.payload import encode

log = logging.getLogger(__name__)

SHORTEST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
TURN_S = 1.0

Handler = Callable[[Message], None]


class _Subscription(NamedTuple):
    filter: str
    qos: int
    handler: Handler
    keeps: bool
    own: bool


class Connection:
    """Keeps a connection to the broker in a thread of its own, whatever happens.

    All methods may be called from any thread, before `start` and while the broker is away.
    Handlers and hooks run in the connection's thread and must not wait for anything.
    Raises ConfigError when the certificates named in the options can't be used.
    """

    def __init__(self, options: Options, will: Will | None = None) -> None:
        self._options = options
        self._context = tls_context(options)
        self._will = will
        self._outbox = Outbox()
        self._subscriptions: list[_Subscription] = []
        self._hooks: list[Callable[[], None]] = []
        self._stopwatches: list[Callable[[float], None]] = []
        self._stopping = threading.Event()
        self._deadline = 0.0
        self._link: Link | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._turned = time.monotonic()
        self._connected = False
        self._complaint = ""
        self._dealt_with: deque[Message] = deque()
        self._inbox = Inbox()

    def start(self) -> None:
        """Start connecting; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Leave the will's state behind, send what waits, disconnect; in `timeout` seconds."""
        if self._will is not None:
            self.retain(self._will.topic, self._will.payload)
        self._deadline = time.monotonic() + timeout
        self._stopping.set()
        self._poke()
        if self.alive():
            self._thread.join(timeout)

    @property
    def connected(self) -> bool:
        """Tell whether the broker accepted the connection, and it still stands."""
        return self._connected

    @property
    def idle(self) -> bool:
        """Tell whether all that was to be sent is on its way to the broker."""
        return self._outbox.empty

    @property
    def trouble(self) -> str:
        """Why there is no connection, in one sentence; empty while none has failed."""
        return "" if self._connected else self._complaint

    def alive(self) -> bool:
        """Tell whether the thread of the connection runs."""
        return self._thread.is_alive()

    def age(self) -> float:
        """Give the seconds since the connection's thread last came round.

        About a second when all is well; up to a minute while a name is looked up in vain.
        """
        return time.monotonic() - self._turned

    def publish(self, topic: str, payload: Mapping[str, object]) -> None:
        """Send an event, not retained; raises ValueError or TypeError as `encode`."""
        self._outbox.add(topic, encode(payload))
        self._poke()

    def answer(self, topic: str, payload: Mapping[str, object], correlation: bytes) -> None:
        """Send an answer, not retained; raises ValueError or TypeError as `encode`.

        `correlation` is the correlation data of its request (MQTT 5), empty if it had none.
        """
        self._outbox.answer(topic, encode(payload), correlation)
        self._poke()

    def retain(self, topic: str, payload: Mapping[str, object] | None) -> None:
        """Send a retained message, now and on every connect; None clears the topic.

        What is retained already is not sent again. Raises ValueError or TypeError as `encode`.
        """
        self._outbox.keep(topic, b"" if payload is None else encode(payload))
        self._poke()

    def renew(self) -> None:
        """Send all retained messages again."""
        self._outbox.renew()
        self._poke()

    def subscribe(
        self,
        topic_filter: str,
        handler: Handler,
        *,
        qos: int = 1,
        keeps: bool = False,
        own: bool = True,
    ) -> None:
        """Give the messages of a filter to `handler`, on this connection and all later ones.

        With `qos` 0 the broker keeps none while this client is away. With a session, subscribe
        before `start`: what the broker kept comes at once. A handler that `keeps` a message
        calls `acknowledge` when it was dealt with; until then the broker counts it as not taken.
        Without `own`, what this client publishes does not come back (MQTT 5), save retained ones
        of before.
        """
        self._subscriptions.append(_Subscription(topic_filter, qos, handler, keeps, own))
        self._poke()

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a message was dealt with, so that it is not sent again."""
        self._dealt_with.append(message)
        self._poke()

    def on_connect(self, hook: Callable[[], None]) -> None:
        """Call `hook` after each connect, when the retained messages are on their way."""
        self._hooks.append(hook)

    def on_confirmed(self, hook: Callable[[float], None]) -> None:
        """Call `hook` with the seconds that the broker took to confirm each message."""
        self._stopwatches.append(hook)

    def _confirmed(self, seconds: float) -> None:
        for hook in self._stopwatches:
            hook(seconds)

    def _poke(self) -> None:
        if link := self._link:
            link.wake()

    def _run(self) -> None:
        wait = SHORTEST_WAIT_S
        while not self._stopping.is_set():
            if self._keep_link():
                wait, self._complaint = SHORTEST_WAIT_S, ""
            self._pause(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)

    def _keep_link(self) -> bool:
        """Keep one connection as long as it stands; tell whether it was a lasting one.

        A short one changes nothing about the waits: two clients of one id take turns for ever.
        """
        began = time.monotonic()
        self._link = link = Link(
            self._options, self._context, self._will, self._receive, self._confirmed
        )
        try:
            self._serve(link)
        except Exception:
            # The border of the thread: a fault here costs a connection, never the thread.
            log.exception("the MQTT connection failed in an unforeseen way")
        self._part(link)
        return link.accepted and time.monotonic() - began > LONGEST_WAIT_S

    def _serve(self, link: Link) -> None:
        link.open()
        greeted = subscribed = 0
        while link.up and not self._done(link):
            if link.accepted:
                subscribed = self._subscribe(link, subscribed)
                greeted = greeted or self._greet()
                self._acknowledge(link)
                self._flush(link)
            link.turn(TURN_S)
            self._turned = time.monotonic()

    def _part(self, link: Link) -> None:
        self._connected = False
        if link.accepted:
            self._acknowledge(link)
        link.close(done=self._outbox.empty and not link.unconfirmed)
        self._outbox.give_back(link.unconfirmed)
        if link.failure and not self._stopping.is_set():
            self._complain(link.failure)

    def _subscribe(self, link: Link, known: int) -> int:
        for subscription in self._subscriptions[known:]:
            link.subscribe(subscription.filter, subscription.qos, own=subscription.own)
            known += 1
        return known

    def _greet(self) -> int:
        self._outbox.renew()
        self._connected = True
        log.info("connected to %s", self._options.where)
        for hook in self._hooks:
            hook()
        return 1

    def _flush(self, link: Link) -> None:
        while link.has_room and (message := self._outbox.take()):
            link.send(message)

    def _done(self, link: Link) -> bool:
        if not self._stopping.is_set():
            return False
        idle = not link.accepted or (self._outbox.empty and not link.unconfirmed)
        return idle or time.monotonic() > self._deadline

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._stopping.wait(min(left, TURN_S)):
            self._turned = time.monotonic()

    def _complain(self, sentence: str) -> None:
        level = logging.DEBUG if sentence == self._complaint else logging.WARNING
        log.log(level, "%s; trying again until it works", sentence)
        self._complaint = sentence

    def _acknowledge(self, link: Link) -> None:
        while self._dealt_with:
            self._inbox.finish(self._dealt_with.popleft())
        self._inbox.acknowledge(link)

    def _receive(self, message: Message) -> None:
        if not self._inbox.take(message):
            return
        kept = False
        for subscription in self._subscriptions:
            if topic_matches_sub(subscription.filter, message.topic):
                kept |= self._hand_over(message, subscription.handler) and subscription.keeps
        if not kept:
            self._inbox.finish(message)

    def _hand_over(self, message: Message, handler: Handler) -> bool:
        """Give a message to a handler; tell whether that went well."""
        try:
            handler(message)
        except Exception:
            # The border to other parts: their faults must not end the connection.
            log.exception("a message on %s could not be handled", message.topic)
            return False
        return True
