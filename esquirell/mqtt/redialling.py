"""Keeping a connection to the broker: dialling again, later and later, until it works."""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from esquirell.domain.errors import EsquirellError
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.dialling import Attempt, Dialler
from esquirell.mqtt.link import Link
from esquirell.mqtt.options import Options

log = logging.getLogger(__name__)

WAIT_S = 1.0


class Redialler:
    """Connects whenever there is no connection, until it is stopped.

    `complaint` says why the last attempt failed; `password` is asked for a new one when the broker
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
