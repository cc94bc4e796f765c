"""Establishing a connection, and dialling again, later and later, until it works."""

import logging
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from esquirell.domain.errors import EsquirellError
from esquirell.domain.record import record
from esquirell.mqtt import reasons
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.link import NO_FAILURE, Failure, Link, Message
from esquirell.mqtt.options import Options

WAIT_S = 1.0

log = logging.getLogger(__name__)


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


class Redialler:
    """Connects whenever there is no connection, until it is stopped.

    `complaint` says why the last attempt failed, `login_refused` whether user or password was why;
    `password` is asked for a new one when the broker
    rejects the old.
    """

    def __init__(
        self,
        options: Options,
        context: ssl.SSLContext | None,
        claim: Claim | None,
        password: Callable[[], str] | None,
    ) -> None:
        self.stopping = threading.Event()
        self.complaint = ""
        self.login_refused = False
        self._password = password
        self._dialler = Dialler(options, context, claim, self.go_on)
        self._turned = time.monotonic()

    @property
    def options(self) -> Options:
        """How it connects now."""
        return self._dialler.options

    def go_on(self) -> bool:
        """Note that its thread still runs; return whether it is to go on."""
        self._turned = time.monotonic()
        return not self.stopping.is_set()

    def age(self) -> float:
        """Return for how many seconds nothing was noted."""
        return time.monotonic() - self._turned

    def run(self, build: Callable[[Options], Link], serve: Callable[[Link, Options], None]) -> None:
        """Connect again and again: `build` creates the link, `serve` runs it while it stands."""
        waits = self.options.waits
        wait = waits.shortest_s
        while not self.stopping.is_set():
            attempt = self._attempt(build, serve)
            # A short connection does not reset the back-off.
            if attempt.lasted_s > waits.longest_s:
                wait, self.complaint = waits.shortest_s, ""
            if attempt.failure.sentence and not self.stopping.is_set():
                self._complain(attempt)
            self._pause(waits.standby_s if attempt.standby else wait)
            if attempt.failure.refuses_credentials:
                self._read_password()
            wait = min(wait * 2, waits.longest_s)

    def end_session(self) -> None:
        """Make the broker forget what it keeps for this client; only while it is disconnected."""
        self._dialler.end_session(self.options)

    def _attempt(
        self, build: Callable[[Options], Link], serve: Callable[[Link, Options], None]
    ) -> Attempt:
        try:
            return self._dialler.dial(build, serve)
        except OSError as error:
            # The system gives no more, such as sockets to wake the connection's thread.
            return Attempt(Failure(reasons.unreachable(error, self.options)))
        except Exception:
            # An error here ends the connection, never the thread.
            log.exception("the MQTT connection failed unexpectedly")
            return Attempt()

    def _read_password(self) -> None:
        """Read the password again: it may have been changed here as on the broker."""
        if self._password is None:
            return
        try:
            self._dialler.options = replace(self.options, password=self._password())
        except EsquirellError as error:
            log.debug("the password can't be read again: %s", error)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.stopping.wait(min(left, WAIT_S)):
            self.go_on()

    def _complain(self, attempt: Attempt) -> None:
        sentence = attempt.failure.sentence
        level = logging.DEBUG if sentence == self.complaint else logging.WARNING
        then = "until that one ends" if attempt.standby else "trying again until it works"
        log.log(level, "%s; %s", sentence, then)
        self.complaint = sentence
        self.login_refused = attempt.failure.refuses_credentials
