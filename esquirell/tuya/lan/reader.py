"""Reads one device in its protocol, which is detected if necessary."""

import logging
from collections import deque
from collections.abc import Iterable
from functools import partial

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.discovery.follower import Follower
from esquirell.tuya.errors import (
    AttemptError,
    being_read,
    explain,
    held_by_other,
    no_lock,
    wrong_protocol,
)
from esquirell.tuya.lan.datapoints import Datapoints
from esquirell.tuya.lan.exchange import Exchange
from esquirell.tuya.lan.loop import Script
from esquirell.tuya.lan.network import Network

log = logging.getLogger(__name__)

SEARCH_ORDER = ("3.3", "3.4", "3.5", "3.1")
"""The order in which protocols are tried on an unknown device.

Devices with 3.4 and 3.5 close the connection at once on a 3.3 frame, so trying 3.3 first is
cheapest; 3.1 is rare by now. Devices with 3.2 name it in their answers to 3.3.
"""

HELD_S = 0.5
LOCK_LOOK_S = 0.05


class Reader:
    """Reads a device, and explains why if that fails.

    Protocols other than the configured or remembered one are tried only where that helps: once
    for a device that never returned data, and for `auto` after several failures in a row, as a new
    firmware may use another protocol.
    """

    def __init__(self, exchange: Exchange, network: Network) -> None:
        self._exchange = exchange
        self._limits = network.limits
        self._now = network.loop.now
        self._follower = Follower(
            network.finder, network.addresses, exchange.lookups.run, network.learn
        )
        self._worked = False
        self._searched = False
        self._failures = 0

    def read(self, datapoints: Datapoints, question: Question) -> Script[None]:
        """Read a device, at its current address, while no other process does.

        Raises MeterUnreachableError or MeterRejectedError.
        """
        yield from self._take_lock(question.meter)
        if question.meter.address == "auto":
            yield from self._follower.read(question, partial(self._read, datapoints))
            return
        try:
            yield from self._read(datapoints, question)
        except MeterError as error:
            raise (yield from self._follower.explained(question, error)) from error

    def _take_lock(self, meter: Meter) -> Script[None]:
        """Take the lock that keeps other processes away. Raises MeterUnreachableError."""
        end = self._now() + self._limits.lock_wait_s
        try:
            while not self._exchange.lock.acquire():
                now = self._now()
                if now >= end:
                    raise being_read(meter)
                yield min(now + LOCK_LOOK_S, end)
        except OSError as error:
            raise no_lock(meter, error) from error

    def _read(self, datapoints: Datapoints, question: Question) -> Script[None]:
        """Query over the open line if it is alive, otherwise over a new one."""
        end = self._now() + self._limits.total_s
        if not (yield from self._ask_over_open_line(datapoints, question, end)):
            yield from self._ask_anew(datapoints, question, end)
        self._worked = True
        self._failures = 0

    def _ask_over_open_line(
        self, datapoints: Datapoints, question: Question, end: float
    ) -> Script[bool]:
        if not self._exchange.ready:
            return False
        yield from self._exchange.wait_for_gap()
        try:
            yield from self._exchange.ask(datapoints, question, self._limits.answer_s, end)
        except AttemptError:
            log.debug("%s: the open line is dead, opening another", question.meter.name)
            return False
        finally:
            self._exchange.lock.note_contact()
        return True

    def _ask_anew(self, datapoints: Datapoints, question: Question, end: float) -> Script[None]:
        configured = question.meter.protocol
        version = self._exchange.lock.version if configured == "auto" else configured
        try:
            if not version:
                yield from self._find(SEARCH_ORDER, datapoints, question, end)
            else:
                yield from self._attempt_known(version, datapoints, question, end)
        except AttemptError as seen:
            self._failures += 1
            if version and self._worth_a_search(seen, question):
                yield from self._search_on(seen, datapoints, question, end)
            else:
                raise (yield from self._reason(seen, question, end)) from seen

    def _attempt(
        self,
        version: str,
        datapoints: Datapoints,
        question: Question,
        end: float,
        probe_s: float | None = None,
    ) -> Script[None]:
        """Connect and query in one protocol. Raises AttemptError."""
        limits = self._limits
        yield from self._exchange.connect(question.meter, version, end)
        try:
            yield from self._exchange.negotiate_key(
                min(self._now() + (probe_s or limits.key_s), end)
            )
            yield from self._exchange.ask(datapoints, question, probe_s or limits.answer_s, end)
        finally:
            self._exchange.lock.note_contact()

    def _attempt_known(
        self, version: str, datapoints: Datapoints, question: Question, end: float
    ) -> Script[None]:
        """Attempt the protocol that is known, again if a key that worked before is not agreed on.

        A device that was paired anew hangs up then, and so does a network that is cut. Raises
        AttemptError.
        """
        try:
            yield from self._attempt(version, datapoints, question, end)
        except AttemptError as seen:
            if not (self._worked and seen.step == "key" and (seen.ended or seen.wrong_key)):
                raise
            yield from self._attempt(version, datapoints, question, end)

    def _worth_a_search(self, seen: AttemptError, question: Question) -> bool:
        is_auto = question.meter.protocol == "auto"
        if seen.final:
            return False
        if seen.other_protocol:
            return is_auto
        if not self._worked and not self._searched:
            return True
        return is_auto and self._failures >= self._limits.failures_to_cool

    def _search_on(
        self, seen: AttemptError, datapoints: Datapoints, question: Question, end: float
    ) -> Script[None]:
        """Try other protocols after one failed; raise the most informative failure."""
        self._searched = True
        others = [version for version in SEARCH_ORDER if version != seen.version]
        if seen.other_protocol:
            others = [seen.other_protocol]
        try:
            yield from self._find(others, datapoints, question, end)
        except AttemptError as other:
            telling = other if other.wrong_key else seen
            raise (yield from self._reason(telling, question, end)) from seen

    def _find(
        self, versions: Iterable[str], datapoints: Datapoints, question: Question, end: float
    ) -> Script[None]:
        """Try one protocol after the other, guided by what the device reveals.

        Raises AttemptError, or MeterRejectedError if it uses another protocol than configured.
        """
        untried = deque(versions)
        tried: set[str] = set()
        while True:
            version = untried.popleft()
            tried.add(version)
            try:
                yield from self._attempt(version, datapoints, question, end, self._limits.probe_s)
            except AttemptError as seen:
                if seen.other_protocol and seen.other_protocol not in tried:
                    untried = deque([seen.other_protocol])
                if seen.final:
                    raise
                needed_s = self._limits.gap_s + self._limits.probe_s
                if not untried or self._now() + needed_s > end:
                    raise AttemptError("auto", "answer", ended=seen.ended) from seen
            else:
                return self._found(version, question)

    def _found(self, version: str, question: Question) -> None:
        meter = question.meter
        if meter.protocol != "auto":
            raise wrong_protocol(meter, meter.protocol, version)
        log.info("%s: the meter speaks protocol %s", meter.name, version)
        self._exchange.lock.version = version

    def _reason(self, seen: AttemptError, question: Question, end: float) -> Script[MeterError]:
        worked = self._worked
        if seen.ended and (seen.step == "key" or not worked):
            if (yield from self._is_held(question, end)):
                return held_by_other(question.meter)
            # No other client is connected, so it refuses the key: it was paired again.
            worked = False
        return explain(question.meter, seen, worked=worked)

    def _is_held(self, question: Question, end: float) -> Script[bool]:
        """Return whether the device closes a connection even if nothing is sent over it.

        Many devices do that while they serve another client.
        """
        try:
            yield from self._exchange.connect(question.meter, "3.3", end)
        except AttemptError:
            return False
        deadline = min(self._now() + HELD_S, end)
        yield from self._exchange.wait_until(lambda: False, lambda: deadline)
        self._exchange.lock.note_contact()
        return self._exchange.ended
