"""A TCP connection that keeps to time limits and remembers what came over it."""

import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from operator import methodcaller
from typing import Any, TypeVar

HEARD_BYTES = 2048
CHUNK_BYTES = 4096

T = TypeVar("T")


class Line:
    """The connection to a device, in place of the socket that tinytuya would open itself.

    Of a socket tinytuya uses `recv`, `sendall` and `close`. Here each of them ends at the
    deadline of the present step, however often tinytuya tries again, and another thread can
    break them off. `heard` are the first bytes that came, `ended` tells that the device
    closed the connection, `expired` that the present step ran out of time.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.ended = False
        self.expired = False
        self._unread = b""
        self._deadline = 0.0
        self._aborted = False
        self._socket: socket.socket | None = None

    def connect(self, host: str, port: int, deadline: float) -> None:
        """Open the connection. Raises OSError."""
        self.allow(deadline)
        family, address = _resolve(host, port, self._left())
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(self._left())
        self._socket.connect(address)
        # From now on we wait ourselves, and only where that is needed: each call of the system
        # lets another thread go first, of which many read their meters at the same time.
        self._socket.setblocking(False)  # noqa: FBT003 - the socket's own

    def allow(self, deadline: float) -> None:
        """Begin a step that has to end at the monotonic time `deadline`."""
        self._deadline = deadline
        self.expired = False

    def recv(self, size: int) -> bytes:
        """Wait for bytes; none means that the device closed. Raises OSError."""
        if not self._unread:
            self._unread = self._patiently(methodcaller("recv", CHUNK_BYTES), select.POLLIN)
            self.ended = not self._unread
            self.heard += self._unread[: HEARD_BYTES - len(self.heard)]
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def sendall(self, data: bytes) -> None:
        """Send all bytes. Raises OSError."""
        while data:
            data = data[self._patiently(methodcaller("send", data), select.POLLOUT) :]

    def pending(self) -> bool:
        """Tell at once whether bytes wait to be read; also notice a closed connection."""
        if self._unread or self._socket is None:
            return bool(self._unread)
        try:
            self.ended = not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as error:
            self._record(error)
        return not self.ended

    def close(self) -> None:
        """Close the connection; closed already is fine. What was not read is forgotten."""
        self._unread = b""
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        """Break off what another thread waits for on this line; it closes the line then."""
        self._aborted = True
        if self._socket is not None:
            # Not connected yet or any more: then nobody waits.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _patiently(self, use: Callable[[socket.socket], T], event: int) -> T:
        """Use the line as soon as that is possible. Raises OSError."""
        try:
            while True:
                self._left()
                try:
                    return use(self._connected())
                except BlockingIOError:
                    self._await(event)
        except OSError as error:
            self._record(error)
            raise

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionError("the line was never connected")
        return self._socket

    def _await(self, event: int) -> None:
        # Not by select, which knows no more than 1024 open files.
        poll = select.poll()
        poll.register(self._connected(), event)
        poll.poll(self._left() * 1000)

    def _left(self) -> float:
        if self._aborted:
            raise ConnectionAbortedError("broken off")
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        return left_s

    def _record(self, error: OSError) -> None:
        if isinstance(error, TimeoutError):
            self.expired = True
        else:
            self.ended = True


def _resolve(host: str, port: int, limit_s: float) -> tuple[socket.AddressFamily, Any]:
    """Find the address of a host; the system's resolver knows no time limit, so we wait here."""
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            results.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0])
        except OSError as error:
            results.put(error)

    threading.Thread(target=look_up, name=f"resolve-{host}", daemon=True).start()
    try:
        found = results.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError("its name can't be resolved in time") from None
    if isinstance(found, OSError):
        raise found
    return found[0], found[4]
