"""Reads one device in the protocol it speaks, finding that out where it has to."""

import logging
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import Meter
from esquirell.tuya.caller import Caller
from esquirell.tuya.errors import AttemptError, explain, held_by_other, wrong_protocol
from esquirell.tuya.guard import Guard
from esquirell.tuya.limits import Budget, Limits
from esquirell.tuya.version import SEARCH_ORDER

log = logging.getLogger(__name__)


class Reader:
    """Reads the device of one meter and says why when it can't.

    Other protocols than the configured or remembered one are tried only where that tells
    more: once for a device that never gave data, and for `auto` after several failures in a
    row, as a new firmware may speak another protocol.
    """

    def __init__(self, meter: Meter, guard: Guard, limits: Limits, stop: threading.Event) -> None:
        self._meter = meter
        self._guard = guard
        self._limits = limits
        self._caller = Caller(meter, guard, limits, stop)
        self._auto = meter.protocol == "auto"
        self._worked = False
        self._searched = False
        self._failures = 0

    def read(self, refresh: tuple[int, ...], budget: Budget) -> dict[str, Any]:
        """Give the DPs of the device, over the kept connection if that is still alive.

        Raises MeterUnreachableError or MeterRejectedError.
        """
        dps = self._caller.ask_again(refresh, budget)
        if dps is None:
            dps = self._read_anew(refresh, budget)
        self._worked = True
        self._failures = 0
        return dps

    def hang_up(self) -> None:
        """Close the connection; none is fine."""
        self._caller.hang_up()

    def abort(self) -> None:
        """Break off, from another thread, what the device is waited for."""
        self._caller.abort()

    def _read_anew(self, refresh: tuple[int, ...], budget: Budget) -> dict[str, Any]:
        version = self._guard.version if self._auto else self._meter.protocol
        try:
            if not version:
                return self._find(SEARCH_ORDER, refresh, budget)
            return self._caller.ask_anew(version, refresh, budget, self._limits.answer_s)
        except AttemptError as seen:
            self._failures += 1
            if version and self._worth_a_search(seen):
                return self._search_on(seen, refresh, budget)
            raise self._reason(seen, budget) from seen

    def _worth_a_search(self, seen: AttemptError) -> bool:
        if seen.final:
            return False
        if seen.other_protocol:
            return self._auto
        if not self._worked and not self._searched:
            return True
        return self._auto and self._failures >= self._limits.failures_to_cool

    def _search_on(
        self, seen: AttemptError, refresh: tuple[int, ...], budget: Budget
    ) -> dict[str, Any]:
        """Try other protocols after one failed, and tell the most telling failure."""
        self._searched = True
        others = [version for version in SEARCH_ORDER if version != seen.version]
        if seen.other_protocol:
            others = [seen.other_protocol]
        try:
            return self._find(others, refresh, budget)
        except AttemptError as other:
            telling = other if other.garbled else seen
            raise self._reason(telling, budget) from seen

    def _reason(self, seen: AttemptError, budget: Budget) -> MeterError:
        worked = self._worked
        if seen.ended and (seen.step == "key" or not worked):
            if self._caller.is_held(budget):
                return held_by_other(self._meter)
            # Nobody holds it, and it hangs up over the key: it was paired anew meanwhile.
            worked = False
        return explain(self._meter, seen, worked=worked)

    def _find(
        self, versions: Iterable[str], refresh: tuple[int, ...], budget: Budget
    ) -> dict[str, Any]:
        """Try one protocol after the other, led by what the device betrays.

        Raises AttemptError, and MeterRejectedError when it speaks another than configured.
        """
        untried = deque(versions)
        tried: set[str] = set()
        while True:
            version = untried.popleft()
            tried.add(version)
            try:
                dps = self._caller.ask_anew(version, refresh, budget, self._limits.probe_s)
            except AttemptError as seen:
                if seen.other_protocol and seen.other_protocol not in tried:
                    untried = deque([seen.other_protocol])
                if seen.final:
                    raise
                if not untried or not budget.allows(self._limits.gap_s + self._limits.probe_s):
                    raise AttemptError("auto", "answer", ended=seen.ended) from seen
            else:
                return self._found(version, dps)

    def _found(self, version: str, dps: dict[str, Any]) -> dict[str, Any]:
        if not self._auto:
            raise wrong_protocol(self._meter, self._meter.protocol, version)
        log.info("%s: the meter speaks protocol %s", self._meter.name, version)
        self._guard.version = version
        return dps
