"""The connection to the broker as the rest of the program sees it: always there."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from esquirell.domain.reading import iso
from esquirell.mqtt import reasons
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.dialling import Redialler
from esquirell.mqtt.echo import Echo
from esquirell.mqtt.link import Link, Message
from esquirell.mqtt.options import Options, Will, tls_context
from esquirell.mqtt.outbox import Outbox, Outgoing, encode
from esquirell.mqtt.scan import scan
from esquirell.mqtt.topics import Topics
from esquirell.mqtt.traffic import Handler, Subscription, Traffic

log = logging.getLogger(__name__)


class Connection:
    """Keeps a connection to the broker in its own thread, whatever happens.

    All methods may be called from any thread, before `start` and while the broker is unreachable.
    Handlers and hooks run in the connection's thread and must not block. With a `claim` it stands
    by while another bridge serves the base topic; `password` is asked for a new one when the broker
    rejects the old; `echo` finds out whether messages are delivered. Raises ConfigError when the
    certificates in the options can't be used.
    What the broker does not confirm within `confirmed_within_s` is a problem.
    """

    confirmed_within_s = 10.0

    def __init__(
        self,
        options: Options,
        will: Will | None = None,
        claim: Claim | None = None,
        password: Callable[[], str] | None = None,
        echo: Echo | None = None,
    ) -> None:
        self._echo = echo
        self._in_use = options
        self._context = tls_context(options)
        self._will = will
        self._claim = claim
        self._outbox = Outbox()
        self._traffic = Traffic(self._outbox, self._confirmed)
        self._redialler = Redialler(options, self._context, claim, password)
        self._hooks: list[Callable[[], None]] = []
        self._stopwatches: list[Callable[[float], None]] = []
        self._deadline = 0.0
        self._lock = threading.Lock()
        self._holding = 0
        self._link: Link | None = None
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._connected = False
        self._said_without_mqtt_5 = False
        if claim is not None:
            self.subscribe(claim.topic, self._claimed, qos=0, own=False)
        if echo is not None:
            self.subscribe(echo.topic, echo.take, qos=0)

    def start(self) -> None:
        """Start connecting; returns at once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Publish the will's state, send what is queued, disconnect; within `timeout` seconds."""
        if self._will is not None:
            self.retain(self._will.topic, self._will.payload, last=True)
        self._deadline = time.monotonic() + timeout
        self._redialler.stopping.set()
        self._poke()
        if self.alive():
            self._thread.join(timeout)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection, and it is still open."""
        return self._connected

    @property
    def idle(self) -> bool:
        """Whether everything queued has been handed to the broker."""
        return self._traffic.idle

    @property
    def trouble(self) -> str:
        """Why there is no connection, in one sentence; empty while none has failed."""
        return "" if self._connected else self._redialler.complaint

    @property
    def login_refused(self) -> bool:
        """Whether the last attempt failed because of the user name or the password."""
        return self._redialler.login_refused

    @property
    def problems(self) -> list[str]:
        """Return what is wrong with the connection, one sentence each; empty if all is well."""
        where, link = self._in_use.where, self._link
        if not self._connected or link is None:
            return [self._redialler.complaint or f"there is no connection to {where} yet"]
        found = [
            ("does not let us publish", link.denied),
            ("does not let us subscribe to", link.unreadable),
            ("does not take messages as large as", self._traffic.too_large),
        ]
        problems = [reasons.kept_from(where, what, topics) for what, topics in found if topics]
        if link.unconfirmed_s > self.confirmed_within_s:
            problems.append(
                f"{where} has not confirmed a message for {self.confirmed_within_s:.0f} s"
            )
        if link.unanswered_s > self.confirmed_within_s:
            problems.append(
                f"{where} has not confirmed a subscription for {self.confirmed_within_s:.0f} s: "
                "commands may not be heard"
            )
        if self._echo is not None and self._echo.is_missing and not problems:
            problems.append(
                f"{where} does not deliver what we publish to {self._echo.topic}: commands may "
                "not be heard; check its access rights, or restart it"
            )
        return problems

    def report(self) -> dict[str, Any]:
        """Return the state of the connection, as shown by health."""
        link = self._link
        confirmed_at = self._traffic.confirmed_at
        report: dict[str, Any] = {
            "connected": self._connected,
            "unconfirmed": self._outbox.count + (len(link.unconfirmed) if link else 0),
            "last_confirmed": iso(confirmed_at) if confirmed_at else None,
        }
        more = {
            "error": self.trouble,
            "too_large": sorted(self._traffic.too_large),
            "denied": sorted(link.denied) if link else [],
            "unreadable": sorted(link.unreadable) if link else [],
        }
        return report | {key: value for key, value in more.items() if value}

    def end_session(self) -> None:
        """Make the broker forget what it keeps for this client; only while it is disconnected."""
        self._redialler.end_session()

    def alive(self) -> bool:
        """Whether the thread of the connection runs."""
        return self._thread.is_alive()

    def age(self) -> float:
        """Return the seconds since the connection's thread last completed a loop.

        A few seconds when all is well; up to a minute during a failing name lookup.
        """
        return self._redialler.age()

    def publish(self, topic: str, payload: Mapping[str, object]) -> None:
        """Publish an event, not retained; raises ValueError or TypeError as `encode`."""
        self.send(topic, encode(payload))

    def send(self, topic: str, payload: bytes) -> None:
        """Send a raw message, not retained."""
        self._outbox.add(topic, payload)
        self._poke()

    def scan(self, topics: Topics) -> dict[str, bytes]:
        """Return what the broker retains for a bridge of these topics. Raises UnavailableError."""
        return scan(self._in_use, topics, self._wanted, self._context)

    def holder_of(self, topics: Topics) -> str | None:
        """Return the machine whose bridge serves these topics, if there is one."""
        return Claim(topics).look(self._in_use, self._context, self._wanted).holder

    def answer(
        self,
        topic: str,
        payload: Mapping[str, object],
        correlation: bytes,
        instead: Mapping[str, object] | None = None,
    ) -> None:
        """Send an answer, not retained; raises ValueError or TypeError as `encode`.

        `correlation` is the correlation data of its request (MQTT 5), empty if it had none.
        `instead` is sent if the answer is too large for the broker.
        """
        other = encode(instead) if instead is not None else None
        self._outbox.answer(Outgoing(topic, encode(payload), False, correlation, other))  # noqa: FBT003 - retained
        self._poke()

    def retain(
        self, topic: str, payload: Mapping[str, object] | None, *, last: bool = False
    ) -> None:
        """Publish a retained message, now and on every connect; None clears the topic.

        With `last` it is sent after all other queued states. What is retained already is not sent
        again. Raises ValueError or TypeError as `encode`.
        """
        self._outbox.keep(topic, b"" if payload is None else encode(payload), last=last)
        self._poke()

    def retained(self, topic: str) -> bytes | None:
        """Return what this connection retains on a topic: empty if cleared, None if nothing."""
        return self._outbox.kept(topic)

    def repeat(self, topic: str) -> None:
        """Publish a retained message again."""
        self._outbox.repeat(topic)
        self._poke()

    def release(self, topic: str) -> None:
        """Leave a retained topic to what another client has published there."""
        self._outbox.release(topic)

    def renew(self) -> None:
        """Publish all retained messages again."""
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
        """Pass the messages that match a filter to `handler`, on this and all later connections.

        With `qos` 0 the broker keeps none while this client is disconnected. With a session,
        subscribe before `start`: what the broker kept arrives at once. A handler that `keeps` a
        message calls `acknowledge` when it is done; until then the broker counts it as undelivered.
        Without `own`, what this client publishes does not come back (MQTT 5), except earlier
        retained messages.
        """
        self._traffic.subscriptions.append(Subscription(topic_filter, qos, handler, keeps, own))
        self._poke()

    def acknowledge(self, message: Message) -> None:
        """Acknowledge a message, so that the broker does not send it again."""
        self._traffic.handled.append(message)
        self._poke()

    def on_connect(self, hook: Callable[[], None]) -> None:
        """Call `hook` after each connect, once the retained messages are queued."""
        self._hooks.append(hook)

    def on_confirmed(self, hook: Callable[[float], None]) -> None:
        """Call `hook` with the seconds that the broker took to confirm each message."""
        self._stopwatches.append(hook)

    def _confirmed(self, seconds: float) -> None:
        for hook in self._stopwatches:
            hook(seconds)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wake the connection's thread once, at the end, for all that is published meanwhile."""
        with self._lock:
            self._holding += 1
        try:
            yield
        finally:
            with self._lock:
                self._holding -= 1
            self._poke()

    def _poke(self) -> None:
        # What holds messages back pokes when it is done.
        if (link := self._link) and not self._holding:
            link.wake()

    def _wanted(self) -> bool:
        return not self._redialler.stopping.is_set()

    def _run(self) -> None:
        self._redialler.run(self._build, self._serve)

    def _build(self, options: Options) -> Link:
        traffic = self._traffic
        self._link = link = Link(
            options, self._context, traffic.receive, traffic.confirmed, will=self._will
        )
        return link

    def _serve(self, link: Link, options: Options) -> None:
        try:
            self._traffic.serve(link, options, lambda: self._greet(options), self._turn)
        finally:
            self._connected = False

    def _greet(self, options: Options) -> None:
        self._outbox.renew()
        if self._echo is not None:
            self._echo.begin()
        self._connected, self._in_use = True, options
        log.info("connected to %s", options.where)
        if options.protocol != self._redialler.options.protocol and not self._said_without_mqtt_5:
            self._said_without_mqtt_5 = True
            log.warning("%s", reasons.without_mqtt_5(options))
        for hook in self._hooks:
            hook()

    def _turn(self, link: Link) -> bool:
        """Do what is due on an open connection; return whether all is done."""
        if self._echo is not None and self._connected:
            self._echo.turn(link)
        return self._done(link)

    def _done(self, link: Link) -> bool:
        if self._redialler.go_on():
            return False
        idle = not link.accepted or (self.idle and not link.unconfirmed)
        return idle or time.monotonic() > self._deadline

    def _claimed(self, message: Message) -> None:
        if self._claim is not None and (reply := self._claim.reply(message)) is not None:
            self.publish(self._claim.topic, reply)
