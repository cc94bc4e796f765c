"""Ends waiting for a PostgreSQL server that has stopped answering."""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from esquirell.domain.errors import UnavailableError

log = logging.getLogger(__name__)


class NotAnsweringError(UnavailableError):
    """The server does not answer; no request is sent to it until it does."""


class ServerWatch:
    """Watches uses of a server, in a thread that runs while there are any.

    A frozen server, or a network that drops packets, ends no connection: its kernel may
    acknowledge data that is never read, and its own time limits are frozen, too. `ask` opens a new
    connection, and raises TimeoutError when there is no answer in time. Then all connections are
    cut, `on_lost` is called, and each new request is refused at once, until `ask` succeeds again.
    The server is tested when a use takes longer than `suspect_after_s`.
    """

    suspect_after_s = 2.0
    look_every_s = 1.0
    ask_again_s = 2.0

    def __init__(self, ask: Callable[[], None], on_lost: Callable[[], None], place: str) -> None:
        self._ask = ask
        self._on_lost = on_lost
        self._place = place
        self._lock = threading.Lock()
        self._is_watching = False
        self._since: dict[object, float] = {}
        self._connections: WeakSet[Any] = WeakSet()
        self._is_lost = False

    def opened(self, connection: object) -> None:
        """Register a connection of the driver."""
        with self._lock:
            self._connections.add(connection)

    def check(self) -> None:
        """Raise NotAnsweringError while the server is lost."""
        if self._is_lost:
            raise self._error()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Watch a use of the server. Raises NotAnsweringError at once while it is lost."""
        self.check()
        mark = self._begin()
        try:
            yield
        except UnavailableError as error:
            if self._is_lost:
                raise self._error() from error
            raise
        finally:
            with self._lock:
                del self._since[mark]

    def _begin(self) -> object:
        mark = object()
        with self._lock:
            self._since[mark] = time.monotonic()
            if not self._is_watching:
                self._is_watching = self._start()
        return mark

    def _start(self) -> bool:
        """Start watching; return whether a thread could be started: if not, the next use tries."""
        try:
            threading.Thread(target=self._run, name="database-watch", daemon=True).start()
        except RuntimeError as error:
            log.warning("the database %s is not watched: %s", self._place, error)
            return False
        return True

    def _error(self) -> NotAnsweringError:
        return NotAnsweringError(f"The database {self._place} does not answer.")

    def _run(self) -> None:
        while (oldest := self._oldest()) is not None:
            if time.monotonic() - oldest >= self.suspect_after_s:
                self._suspect()
            time.sleep(self.look_every_s)

    def _oldest(self) -> float | None:
        """Return when the oldest current use began; None ends the watch."""
        with self._lock:
            self._is_watching = bool(self._since)
            return min(self._since.values(), default=None)

    def _suspect(self) -> None:
        if self._answers():
            return
        self._is_lost = True
        log.warning("the database %s does not answer: its connections are cut", self._place)
        self._cut()
        self._on_lost()
        while not self._answers():
            time.sleep(self.ask_again_s)
            # A connection that was being opened meanwhile may have succeeded since.
            self._cut()
        log.info("the database %s answers again", self._place)
        self._is_lost = False

    def _answers(self) -> bool:
        try:
            self._ask()
        except TimeoutError:
            return False
        except Exception as error:  # noqa: BLE001 - other errors do not mean that the server is lost
            # The test itself failed, for instance because of too many open files.
            log.debug("the database %s could not be tested: %r", self._place, error)
        return True

    def _cut(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            # Closing a socket does not wake its waiters; shutting it down does.
            with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as one:
                one.shutdown(socket.SHUT_RDWR)
