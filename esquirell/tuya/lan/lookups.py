"""Slow work that would block the loop, such as looking up host names, in threads of its own."""

import socket
import threading
from collections.abc import Callable
from typing import Never, TypeVar

from esquirell.domain.meter import Meter
from esquirell.tuya.lan.loop import FOREVER, Address, Loop, Script

T = TypeVar("T")


class Lookups:
    """Runs slow work for a script, which `wake` continues at its end."""

    def __init__(self, loop: Loop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        # The addresses of the name that was looked up last.
        self._known: dict[tuple[str, int], list[Address]] = {}

    def run(self, work: Callable[[], T], end: float = FOREVER) -> Script[T]:
        """Run slow work in a thread. Raises its error, or TimeoutError."""
        done: list[Callable[[], T]] = []

        def run() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
                done.append(_raising(error))
            else:
                done.append(lambda: result)
            self._loop.call(self._wake)

        threading.Thread(target=run, name="lookup", daemon=True).start()
        while not done:
            if self._loop.now() >= end:
                raise TimeoutError("timed out")
            yield end
        return done[0]()

    def addresses(self, meter: Meter, end: float) -> Script[list[Address]]:
        """Resolve the addresses of a host. Raises OSError."""
        where = meter.address, meter.port
        try:
            found = socket.getaddrinfo(*where, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            return (yield from self._look_up(where, end))
        return [(info[0], info[4]) for info in found]

    def _look_up(self, where: tuple[str, int], end: float) -> Script[list[Address]]:
        """Find the addresses of a name, or the last known ones. Raises OSError.

        A router that restarts answers for no name for minutes, and the meter is where it was.
        """

        def look_up() -> list[Address]:
            infos = socket.getaddrinfo(*where, type=socket.SOCK_STREAM)
            found: list[Address] = [(info[0], info[4]) for info in infos]
            # The system's resolver knows no time limit: what comes late is known to the next read.
            self._known = {where: found}
            return found

        try:
            return (yield from self.run(look_up, end))
        except OSError as error:
            if known := self._known.get(where):
                return known
            if isinstance(error, TimeoutError):
                raise TimeoutError("the name server takes too long") from None
            raise


def _raising(error: Exception) -> Callable[[], Never]:
    def fail() -> Never:
        raise error

    return fail
