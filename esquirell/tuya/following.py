"""Reads meters wherever they are on the LAN: `address = "auto"`."""

import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from esquirell.domain.errors import MeterError, MeterUnreachableError
from esquirell.domain.meter import Meter
from esquirell.tuya.addresses import Addresses
from esquirell.tuya.finder import Finder
from esquirell.tuya.local import LocalTransport

MOVED = ("unreachable", "no_data", "wrong_key", "wrong_protocol")
"""What a read may fail with when another device has the address by now, or none."""

SEARCH_AGAIN_S = 60.0


class _Question(NamedTuple):
    """What is asked of whom."""

    meter: Meter
    refresh: tuple[int, ...]
    forced: bool


class Follower:
    """Reads each meter at its last address, and searches for it when it fails there.

    An address is remembered once the meter answered there, as anyone on the LAN can announce
    what he likes. After a search in vain the next one waits for `again_s` seconds.
    """

    def __init__(
        self,
        local: LocalTransport,
        finder: Finder,
        addresses: Addresses,
        again_s: float = SEARCH_AGAIN_S,
    ) -> None:
        self._local = local
        self._finder = finder
        self._addresses = addresses
        self._again_s = again_s
        self._in_vain: dict[str, tuple[float, MeterError]] = {}
        self._lock = threading.Lock()

    def read(
        self, meter: Meter, refresh: tuple[int, ...] = (), *, forced: bool = False
    ) -> Mapping[str, Any]:
        """Give the DPs by their ids. Raises MeterUnreachableError or MeterRejectedError."""
        question = _Question(meter, refresh, forced)
        address = self._addresses.get(meter.lan_id)
        if address is None:
            return self._ask_at(self._find(question), question)
        try:
            return self._ask_at(address, question)
        except MeterError as error:
            if error.code not in MOVED:
                raise
            return self._ask_at(self._follow(address, error, question), question)

    def _follow(self, last: str, error: MeterError, question: _Question) -> str:
        """Find out where the meter went. Raises `error` when it did not, or that it is lost."""
        meter = question.meter
        self._addresses.drop(meter.lan_id)
        noted = self._addresses.get(meter.lan_id)
        if noted and noted != last:
            return noted  # another process has found it
        try:
            found = self._find(question)
        except MeterUnreachableError as lost:
            # That somebody answered tells more than that nothing was heard.
            raise (lost if error.code == "unreachable" else error) from None
        if found == last:
            self._pause(meter, error)
            raise error
        return found

    def _find(self, question: _Question) -> str:
        self._check_pause(question)
        try:
            return self._finder.find(question.meter)
        except MeterUnreachableError as error:
            self._pause(question.meter, error)
            raise

    def _ask_at(self, address: str, question: _Question) -> Mapping[str, Any]:
        meter, refresh, forced = question
        there = meter.model_copy(update={"address": address})
        dps = self._local.read(there, refresh, forced=forced)
        self._addresses.put(meter.lan_id, address)
        with self._lock:
            self._in_vain.pop(meter.name, None)
        return dps

    def _pause(self, meter: Meter, error: MeterError) -> None:
        with self._lock:
            self._in_vain[meter.name] = (time.monotonic(), error)

    def _check_pause(self, question: _Question) -> None:
        with self._lock:
            since, error = self._in_vain.get(question.meter.name, (0.0, None))
        if error and not question.forced and time.monotonic() - since < self._again_s:
            raise MeterUnreachableError(error.code, str(error))
