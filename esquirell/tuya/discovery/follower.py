"""Follows meters to their addresses on the LAN (`address = "auto"`), or reports the new one."""

import ipaddress
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from esquirell.domain.errors import MeterError, MeterUnreachableError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.errors import has_moved, is_displaced

if TYPE_CHECKING:
    from esquirell.tuya.discovery.listener import Announcement

T = TypeVar("T")
Script = Generator[float, None, T]
Learn = Callable[[Meter, str], None]

MOVED = ("unreachable", "no_data", "wrong_key", "wrong_protocol", "busy")
"""How a read may fail when the address now belongs to another device, or to none.

`busy` when that is another of our meters, whose connection we hold.
"""

SEARCH_AGAIN_S = 60.0


class RunInThread(Protocol):
    """Runs slow work in a thread of its own."""

    def __call__(self, work: Callable[[], T]) -> Script[T]:
        """Return what the work returns, or raise what it raises."""


class Follower:
    """Reads a meter at its last address, and searches for it when it fails there.

    An address is remembered once the meter has answered there, as anyone on the LAN can announce
    anything: of two devices with the same id, the one that knows the key is read. `learn` then
    gets the announced product id. After a search without result the next one waits for `again_s`
    seconds.
    """

    def __init__(
        self,
        finder: Finder,
        addresses: Addresses,
        run_in_thread: RunInThread,
        learn: Learn,
        again_s: float = SEARCH_AGAIN_S,
    ) -> None:
        self._finder = finder
        self._addresses = addresses
        self._run_in_thread = run_in_thread
        self._learn = learn
        self._again_s = again_s
        self._in_vain: tuple[float, MeterError] | None = None

    def read(self, question: Question, ask: Callable[[Question], Script[None]]) -> Script[None]:
        """Read a meter at its current address. Raises MeterUnreachableError, MeterRejectedError."""
        address = self._addresses.get(question.meter.lan_id)
        if address is None:
            found = yield from self._find(question)
            yield from self._ask_found(found.address, question, ask, found.product_id)
            return
        try:
            yield from self._ask_at(address, question, ask)
        except MeterError as error:
            if error.code not in MOVED:
                raise
            address, product_id = yield from self._follow(address, error, question)
            yield from self._ask_found(address, question, ask, product_id)

    def explained(self, question: Question, error: MeterError) -> Script[MeterError]:
        """Return the error that announcements explain a failed read by, or `error` if none do.

        A router that hands out addresses anew can give a meter's to another device, which refuses
        the key. Only who asks for one meter waits for that, not a poll.
        """
        meter = question.meter
        if not question.forced or error.code not in MOVED or not _announces_itself(meter.address):
            return error
        heard = yield from self._run_in_thread(lambda: self._finder.hear(meter))
        if heard is None:
            return error
        if heard.device_id != meter.lan_id:
            return is_displaced(meter)
        return error if heard.address == meter.address else has_moved(meter, heard.address)

    def _follow(self, last: str, error: MeterError, question: Question) -> Script[tuple[str, str]]:
        """Find the new address of a meter and its announced product.

        Raises `error` when it has not moved, or the error of the search when it is not found.
        """
        device_id = question.meter.lan_id
        self._addresses.drop(device_id)
        noted = self._addresses.get(device_id)
        if noted and noted != last:
            return noted, ""  # found by another process
        try:
            found = yield from self._find(question)
        except MeterUnreachableError as lost:
            # The answer of the wrong device tells more than that nothing was heard.
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
            return (yield from self._run_in_thread(lambda: self._finder.find(question.meter)))
        except MeterUnreachableError as lost:
            self._in_vain = (time.monotonic(), lost)
            raise

    def _ask_found(
        self,
        address: str,
        question: Question,
        ask: Callable[[Question], Script[None]],
        product_id: str,
    ) -> Script[None]:
        """Read a meter where it was found, or where another device claims to be the meter."""
        try:
            yield from self._ask_at(address, question, ask, product_id)
        except MeterError as error:
            if error.code not in MOVED:
                raise
            find = partial(self._finder.find, question.meter, but=address)
            try:
                other = yield from self._run_in_thread(find)
            except MeterUnreachableError:
                self._in_vain = (time.monotonic(), error)
                raise error from None
            yield from self._ask_at(other.address, question, ask, other.product_id)

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


def _announces_itself(address: str) -> bool:
    """Whether a device at this address can be heard: not on this machine, nor by a name."""
    try:
        return not ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False
