"""Establishing a connection: other bridges, the protocol, an old or a new session."""

import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from esquirell.domain.record import record
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.link import NO_FAILURE, Failure, Link, Message
from esquirell.mqtt.options import Options

WAIT_S = 1.0


@record
class Attempt:
    """How an attempt to connect ended, or the resulting connection.

    `standby` means that another bridge is connected, and this one is to wait.
    """

    failure: Failure = NO_FAILURE
    accepted: bool = False
    lasted_s: float = 0.0
    standby: bool = False


class Session:
    """What the broker keeps for this client while it is disconnected: for how long, since when.

    Not every broker expires it by itself, and old commands must not be run.
    """

    def __init__(
        self,
        limit_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limit_s = limit_s
        self._monotonic = monotonic
        self._now = now
        self._connected_at: float | None = None

    def connected(self) -> None:
        """Record that the connection was up until now."""
        self._connected_at = self._monotonic()

    def is_over(self, last_seen: datetime | None) -> bool:
        """Whether this client was disconnected for longer than its session lasts.

        `last_seen` is when the broker last heard of it, if that is known.
        """
        connected_at, limit_s = self._connected_at, self._limit_s
        if connected_at is not None and self._monotonic() - connected_at > limit_s:
            return True
        if last_seen is None:
            return connected_at is None
        return not -limit_s <= (self._now() - last_seen).total_seconds() <= limit_s


class Dialler:
    """Makes attempts to connect, one after the other; `go_on` ends one early.

    `build` creates the link of a connection, `serve` runs it for as long as it stands.
    """

    def __init__(
        self,
        options: Options,
        context: ssl.SSLContext | None,
        claim: Claim | None,
        go_on: Callable[[], bool],
    ) -> None:
        self.options = options
        self._context = context
        self._claim = claim
        self._go_on = go_on
        self._session = Session(options.session_expiry)
        # Whether a broker that says nothing was found to answer the older protocol only.
        self._is_older = False

    def dial(
        self, build: Callable[[Options], Link], serve: Callable[[Link, Options], None]
    ) -> Attempt:
        """Connect with the configured protocol, else with the older one if that may help."""
        attempt = self._attempt(self.options, build, serve)
        if not attempt.failure.speaks_another_protocol or self.options.protocol != "5":
            return attempt
        options = replace(self.options, protocol="3.1.1")
        if attempt.failure.said_nothing and not self._is_older:
            # One that was slow, or that was just started, speaks the newer one by now.
            if not self._answers(options):
                return attempt
            attempt = self._attempt(self.options, build, serve)
            if not attempt.failure.speaks_another_protocol:
                return attempt
            self._is_older = True
        older = self._attempt(options, build, serve)
        return older if older.accepted or older.standby else attempt

    def _answers(self, options: Options) -> bool:
        """Whether the broker accepts a connection at all, under another name."""
        name = f"{options.client_id or 'esquirell'}-{secrets.token_hex(4)}"
        return self._connect_once(replace(options, client_id=name, session_expiry=0))

    def _connect_once(self, options: Options) -> bool:
        """Open a connection and close it; return whether the broker accepted it."""
        link = Link(options, self._context, _ignore)
        link.open()
        while link.up and not link.accepted and self._go_on():
            link.run_once(WAIT_S)
        link.close(done=link.accepted)
        return link.accepted

    def _attempt(
        self,
        options: Options,
        build: Callable[[Options], Link],
        serve: Callable[[Link, Options], None],
    ) -> Attempt:
        if self._claim is not None:
            found = self._claim.look(options, self._context, self._go_on)
            if found.failure.sentence:
                return Attempt(found.failure)
            if found.holder is not None:
                sentence = self._claim.held_by(found.holder, options)
                return Attempt(Failure(sentence), standby=True)
            if self._session.is_over(found.last_seen):
                self.end_session(options)
        began, link = time.monotonic(), build(options)
        serve(link, options)
        if link.accepted:
            self._session.connected()
        return Attempt(link.failure, link.accepted, time.monotonic() - began)

    def end_session(self, options: Options) -> None:
        """Make the broker forget the session, with a connection for this purpose only.

        With MQTT 3.1.1 there is no other way, and mosquitto 2.0.11 does not persist a session that
        began with a clean start, whatever its expiry.
        """
        self._connect_once(replace(options, fresh=True))


def _ignore(_message: Message) -> None:
    """Take no notice: for a connection that asks for nothing."""
