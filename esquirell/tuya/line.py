"""A TCP connection that keeps to time limits and remembers what came over it."""

import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Any

HEARD_BYTES = 2048


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

    def allow(self, deadline: float) -> None:
        """Begin a step that has to end at the monotonic time `deadline`."""
        self._deadline = deadline
        self.expired = False

    def recv(self, size: int) -> bytes:
        """Wait for bytes; none means that the device closed. Raises OSError."""
        try:
            data = self._armed().recv(size)
        except OSError as error:
            self._record(error)
            raise
        self.ended = not data
        self.heard += data[: HEARD_BYTES - len(self.heard)]
        return data

    def sendall(self, data: bytes) -> None:
        """Send all bytes. Raises OSError."""
        try:
            self._armed().sendall(data)
        except OSError as error:
            self._record(error)
            raise

    def pending(self) -> bool:
        """Tell at once whether bytes wait to be read; also notice a closed connection."""
        if self._socket is None:
            return False
        try:
            self._socket.settimeout(0)
            self.ended = not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError as error:
            self._record(error)
        return not self.ended

    def close(self) -> None:
        """Close the connection; closed already is fine."""
        if self._socket is not None:
            self._socket.close()

    def abort(self) -> None:
        """Break off what another thread waits for on this line; it closes the line then."""
        self._aborted = True
        if self._socket is not None:
            # Not connected yet or any more: then nobody waits.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _armed(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionError("the line was never connected")
        self._socket.settimeout(self._left())
        return self._socket

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
