"""Finds devices on the LAN by their ids: searches that overlap share one listener."""

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
    from esquirell.tuya.discovery.announcement import Announcement
    from esquirell.tuya.discovery.listener import Listener

log = logging.getLogger(__name__)

SEARCH_S = 10.0


@dataclass
class _Search:
    """What was heard since a listener was opened; `over` when it hears no more."""

    heard: "dict[str, Announcement]" = field(default_factory=dict)
    trouble: str = ""
    over: bool = False


def listen() -> "Listener":
    """Make a listener on the usual ports."""
    # tinytuya takes some 25 MiB, which a process that searches for nothing does without.
    from esquirell.tuya.discovery.listener import Listener  # noqa: PLC0415

    return Listener()


class Finder:
    """Listens as long as somebody searches, at most `search_s` seconds for each."""

    def __init__(
        self, make_listener: "Callable[[], Listener]" = listen, search_s: float = SEARCH_S
    ) -> None:
        self._make_listener = make_listener
        self._search_s = search_s
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._searching = 0
        self._search: _Search | None = None

    def find(self, meter: Meter) -> "Announcement":
        """Wait until the device of a meter is heard and return what it announced.

        Raises MeterUnreachableError when it is not heard in time, and why.
        """
        end = time.monotonic() + self._search_s
        with self._changed, self._joined() as search:
            while meter.lan_id not in search.heard:
                left_s = end - time.monotonic()
                if search.over or left_s <= 0 or self._stop.is_set():
                    break
                self._changed.wait(left_s)
            found = search.heard.get(meter.lan_id)
        if found is None:
            raise self._failure(meter, search)
        log.info("%s: the meter is at %s", meter.name, found.address)
        return found

    def stop(self) -> None:
        """End all searches."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()

    @contextmanager
    def _joined(self) -> Iterator[_Search]:
        """Take part in the search that goes on, or begin one."""
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
        """Note what is heard until nobody searches any more."""
        for announced in listener.hear(float("inf"), self._stop):
            with self._changed:
                if announced is not None:
                    search.heard[announced.device_id] = announced
                    self._changed.notify_all()
                elif not self._searching:
                    search.over = True
                    return

    def _failure(self, meter: Meter, search: _Search) -> MeterUnreachableError:
        if self._stop.is_set():
            return stopped(meter)
        return not_found(meter, self._search_s, len(search.heard), search.trouble)
