"""Finds devices on the LAN by their ids, and follows those that move: `address = "auto"`."""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from esquirell.domain.errors import MeterError, MeterUnreachableError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.errors import not_found, stopped

if TYPE_CHECKING:
    from esquirell.tuya.discovery.listener import Announcement, Listener

log = logging.getLogger(__name__)

SEARCH_S = 10.0
# Devices announce themselves every five seconds.
ELSEWHERE_S = 6.0


@dataclass
class _Search:
    """The announcements since a listener was opened, by device and address.

    `over` once it no longer listens.
    """

    heard: "dict[str, dict[str, Announcement]]" = field(default_factory=dict)
    trouble: str = ""
    over: bool = False


def listen() -> "Listener":
    """Return a listener on the usual ports."""
    # tinytuya takes some 25 MiB: loaded only by processes that need it.
    from esquirell.tuya.discovery.listener import Listener  # noqa: PLC0415

    return Listener()


class Finder:
    """Listens while there are searches, for at most `search_s` seconds each.

    A search for another address of a device already heard takes at most `elsewhere_s` seconds.
    """

    def __init__(
        self,
        make_listener: "Callable[[], Listener]" = listen,
        search_s: float = SEARCH_S,
        elsewhere_s: float = ELSEWHERE_S,
    ) -> None:
        self._make_listener = make_listener
        self._search_s = search_s
        self._elsewhere_s = elsewhere_s
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._searching = 0
        self._search: _Search | None = None

    def find(self, meter: Meter, but: str = "") -> "Announcement":
        """Wait until the device of a meter is heard, and return its announcement.

        `but` is an address where it is not. Raises MeterUnreachableError, with the likely reason,
        when it is not heard in time.
        """
        end = time.monotonic() + (self._elsewhere_s if but else self._search_s)
        with self._changed, self._joined() as search:
            while (found := _heard_of(meter, search, but)) is None:
                left_s = end - time.monotonic()
                if search.over or left_s <= 0 or self._stop.is_set():
                    break
                self._changed.wait(left_s)
        if found is None:
            raise self._failure(meter, search)
        log.info("%s: the meter is at %s", meter.name, found.address)
        return found

    def hear(self, meter: Meter) -> "Announcement | None":
        """Return what the device of a meter announces; else what another one does at its address.

        None when neither is heard.
        """
        end = time.monotonic() + self._elsewhere_s
        with self._changed, self._joined() as search:
            while (found := _heard_of(meter, search, "")) is None:
                left_s = end - time.monotonic()
                if search.over or left_s <= 0 or self._stop.is_set():
                    break
                self._changed.wait(left_s)
            return found or _heard_at(meter.address, search)

    def stop(self) -> None:
        """End all searches."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    @contextmanager
    def _joined(self) -> Iterator[_Search]:
        """Join the current search, or begin one."""
        search = self._search
        if search is None or search.over:
            search = self._search = _Search()
            threading.Thread(target=self._listen, args=[search], name="finder", daemon=True).start()
        self._searching += 1
        try:
            yield search
        finally:
            self._searching -= 1

    def _listen(self, search: _Search) -> None:
        try:
            with self._make_listener() as listener:
                search.trouble = listener.trouble
                self._hear(listener, search)
        except UnavailableError as error:
            search.trouble = str(error)
        finally:
            with self._changed:
                search.over = True
                self._changed.notify_all()

    def _hear(self, listener: "Listener", search: _Search) -> None:
        """Record announcements until the last search has ended."""
        for announced in listener.listen(float("inf"), self._stop):
            with self._changed:
                if announced is not None:
                    known = search.heard.setdefault(announced.device_id, {})
                    known[announced.address] = announced
                    self._changed.notify_all()
                elif not self._searching:
                    search.over = True
                    return

    def _failure(self, meter: Meter, search: _Search) -> MeterUnreachableError:
        if self._stop.is_set():
            return stopped(meter)
        return not_found(meter, self._search_s, len(search.heard), search.trouble)


def _heard_of(meter: Meter, search: _Search, but: str) -> "Announcement | None":
    found = search.heard.get(meter.lan_id, {})
    return next((found[address] for address in reversed(found) if address != but), None)


def _heard_at(address: str, search: _Search) -> "Announcement | None":
    return next((known[address] for known in search.heard.values() if address in known), None)


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
