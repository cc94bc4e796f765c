"""Reads meters wherever they are on the LAN: `address = "auto"`."""

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from esquirell.domain.errors import MeterError, MeterUnreachableError
from esquirell.domain.heard import Question
from esquirell.domain.meter import Meter
from esquirell.tuya.discovery.addresses import Addresses
from esquirell.tuya.discovery.finder import Finder

if TYPE_CHECKING:
    from esquirell.tuya.discovery.announcement import Announcement

T = TypeVar("T")
Script = Generator[float, None, T]
Learn = Callable[[Meter, str], None]

MOVED = ("unreachable", "no_data", "wrong_key", "wrong_protocol")
"""What a read may fail with when another device has the address by now, or none."""

SEARCH_AGAIN_S = 60.0


class Apart(Protocol):
    """Does in a thread of its own what may take long."""

    def __call__(self, work: Callable[[], T]) -> Script[T]:
        """Return what the work returns, or raise what it raises."""
        ...


class Follower:
    """Reads a meter at its last address, and searches for it when it fails there.

    An address is remembered once the meter answered there, as anyone on the LAN can announce
    what he likes; `learn` is then told the product id that came with it. After a search in vain
    the next one waits for `again_s` seconds.
    """

    def __init__(
        self,
        finder: Finder,
        addresses: Addresses,
        apart: Apart,
        learn: Learn,
        again_s: float = SEARCH_AGAIN_S,
    ) -> None:
        self._finder = finder
        self._addresses = addresses
        self._apart = apart
        self._learn = learn
        self._again_s = again_s
        self._in_vain: tuple[float, MeterError] | None = None

    def read(self, question: Question, ask: Callable[[Question], Script[None]]) -> Script[None]:
        """Ask a meter where it is. Raises MeterUnreachableError or MeterRejectedError."""
        meter = question.meter
        if meter.address != "auto":
            yield from ask(question)
            return
        address = self._addresses.get(meter.lan_id)
        if address is None:
            found = yield from self._find(question)
            yield from self._ask_at(found.address, question, ask, found.product_id)
            return
        try:
            yield from self._ask_at(address, question, ask)
        except MeterError as error:
            if error.code not in MOVED:
                raise
            address, product_id = yield from self._follow(address, error, question)
            yield from self._ask_at(address, question, ask, product_id)

    def _follow(self, last: str, error: MeterError, question: Question) -> Script[tuple[str, str]]:
        """Find out where the meter went, and what product it says it is.

        Raises `error` when it did not go anywhere, or that it is lost.
        """
        device_id = question.meter.lan_id
        self._addresses.drop(device_id)
        noted = self._addresses.get(device_id)
        if noted and noted != last:
            return noted, ""  # another process has found it
        try:
            found = yield from self._find(question)
        except MeterUnreachableError as lost:
            # That somebody answered tells more than that nothing was heard.
            raise (lost if error.code == "unreachable" else error) from None
        if found.address == last:
            self._in_vain = (time.monotonic(), error)
            raise error
        return found.address, found.product_id

    def _find(self, question: Question) -> "Script[Announcement]":
        since, error = self._in_vain or (0.0, None)
        if error and not question.forced and time.monotonic() - since < self._again_s:
            raise MeterUnreachableError(error.code, str(error))
        try:
            return (yield from self._apart(lambda: self._finder.find(question.meter)))
        except MeterUnreachableError as lost:
            self._in_vain = (time.monotonic(), lost)
            raise

    def _ask_at(
        self,
        address: str,
        question: Question,
        ask: Callable[[Question], Script[None]],
        product_id: str = "",
    ) -> Script[None]:
        meter: Meter = question.meter.model_copy(update={"address": address})
        yield from ask(replace(question, meter=meter))
        self._addresses.put(meter.lan_id, address)
        if product_id:
            self._learn(question.meter, product_id)
        self._in_vain = None
