"""Listens for the broadcasts of Tuya devices on the LAN."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from esquirell.domain.errors import UnavailableError
from esquirell.tuya.discovery.announcement import Announcement, parse, request

EVERYONE = "255.255.255.255"
ASK_EVERY_S = 3.0
LOOK_S = 0.2
LONGEST_PACKET = 4096


@dataclass(frozen=True, slots=True)
class Ports:
    """The UDP ports: 3.1 in clear, later ones encrypted, and 3.5 to those who ask."""

    plain: int = 6666
    encrypted: int = 6667
    app: int = 7000

    @property
    def all(self) -> tuple[int, ...]:
        """All of them."""
        return (self.plain, self.encrypted, self.app)


class Listener:
    """Hears devices; several listeners, also of other programs, may share the ports.

    `blocked` says of each port that can't be listened on why not.
    """

    def __init__(self, ports: Ports = Ports(), everyone: str = EVERYONE) -> None:
        self.ports = ports
        self.blocked: dict[int, str] = {}
        self._everyone = everyone
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        """Open the ports. Raises UnavailableError when none can be opened."""
        for port in self.ports.all:
            self._open(port)
        if not self._selector.get_map():
            self.__exit__()
            raise UnavailableError(self.trouble)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the ports."""
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.data.close()
        self._selector.close()

    @property
    def trouble(self) -> str:
        """Say which ports can't be listened on; empty when all can."""
        if not self.blocked:
            return ""
        ports = ", ".join(str(port) for port in self.blocked)
        reason = next(iter(self.blocked.values()))
        return (
            f"UDP {ports} can't be listened on ({reason}): end the other program that uses it, "
            "or give the meter its IP address"
        )

    def hear(self, seconds: float, stop: threading.Event) -> Iterator[Announcement | None]:
        """Return what is announced, and None now and then so that the caller can look around.

        A device is given each time that it is heard.
        """
        end = time.monotonic() + seconds
        ask_at = 0.0
        while (now := time.monotonic()) < end and not stop.is_set():
            if now >= ask_at:
                self._ask()
                ask_at = now + ASK_EVERY_S
            for key, _ in self._selector.select(min(LOOK_S, end - now)):
                yield _received(key.data)
            yield None

    def _open(self, port: int) -> None:
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            ear.bind(("", port))
        except OSError as error:
            self.blocked[port] = error.strerror or str(error)
            ear.close()
            return
        ear.settimeout(0)
        self._selector.register(ear, selectors.EVENT_READ, ear)

    def _ask(self) -> None:
        """Ask the devices with 3.5; without a network there is nobody to ask."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth, suppress(OSError):
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            mouth.connect((self._everyone, self.ports.app))
            mouth.send(request(mouth.getsockname()[0]))


def _received(ear: socket.socket) -> Announcement | None:
    try:
        packet, sender = ear.recvfrom(LONGEST_PACKET)
    except OSError:
        return None
    return parse(packet, sender[0])
