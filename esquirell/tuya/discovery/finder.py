"""Finds devices on the LAN by their ids."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from esquirell.domain.errors import MeterUnreachableError, UnavailableError
from esquirell.domain.meter import Meter
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
