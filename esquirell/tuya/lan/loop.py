"""One thread that waits for all lines and timers at once."""

import heapq
import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from esquirell import forks

log = logging.getLogger(__name__)

FOREVER = float("inf")
RECEIVE_BYTES = 16_384

Address = tuple[socket.AddressFamily, Any]

T = TypeVar("T")
Script = Generator[float, None, T]
"""Work that waits: it yields the monotonic time to continue at, or earlier if data arrives."""


class Loop:
    """Runs all work on devices in one thread, which starts with the first call.

    Only `call` and `close` may be called from other threads. `now` is the clock (s) it runs by.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def call(self, function: Callable[[], None]) -> None:
        """Run a function in the loop's thread, soon."""
        self._calls.append(function)
        self._start()
        if self._thread is not None:
            # Full, it wakes the loop anyway; or it is closed.
            with suppress(OSError):
                self._wake.send(b"\0")

    def close(self) -> None:
        """Run what was called so far, end the loop, and wait for that; works if never started."""
        with self._lock:
            thread = self._thread
            self._closed = thread is None
        if thread is not None:
            self.call(self._end)
            thread.join()

    def watch(self, end: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """Call `ready` with the events of a socket, instead of the function set before."""
        if end in self._selector.get_map():
            self._selector.modify(end, events, ready)
        else:
            self._selector.register(end, events, ready)

    def forget(self, end: socket.socket) -> None:
        """Stop watching a socket, if it is watched."""
        with suppress(KeyError):
            self._selector.unregister(end)

    def schedule(self, timer: "Timer") -> None:
        """Schedule a timer for when it is due."""
        heapq.heappush(self._timers, (timer.due, next(self._numbers), timer))

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closed:
                self._selector = selectors.DefaultSelector()
                self._wake, self._woken = socket.socketpair()
                for end in (self._wake, self._woken):
                    end.setblocking(False)  # noqa: FBT003 - the socket's own
                self.watch(self._woken, selectors.EVENT_READ, self._drain)
                self._thread = threading.Thread(target=self._run, name="meters", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            for key, events in self._selector.select(self._left_s()):
                _guarded(key.data, events)
            for _ in range(len(self._calls)):
                _guarded(self._calls.popleft())
            self._end_timers()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _left_s(self) -> float | None:
        if self._calls:
            return 0.0
        while self._timers and self._timers[0][2].due != self._timers[0][0]:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else None

    def _end_timers(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            moment, _, timer = heapq.heappop(self._timers)
            if timer.due == moment:
                timer.due = FOREVER
                _guarded(timer.ended)

    def _drain(self, _: int) -> None:
        self._woken.recv(RECEIVE_BYTES)

    def _end(self) -> None:
        self._closed = True


def _guarded(function: Callable[..., None], *arguments: object) -> None:
    try:
        function(*arguments)
    except Exception:  # a fault with one device must not affect the others
        log.exception("unexpected error with a device")


class Timer:
    """Calls `ended` once it is `due`, on the loop's clock; FOREVER means never."""

    def __init__(self, loop: Loop, ended: Callable[[], None]) -> None:
        self.due = FOREVER
        self.ended = ended
        self._loop = loop

    def set(self, moment: float) -> None:
        """Set the moment to end at, replacing the one before."""
        if moment != self.due:
            self.due = moment
            if moment != FOREVER:
                self._loop.schedule(self)


class Line:
    """A TCP connection in the loop; `received` gets the bytes, `changed` is called for all else.

    `ended`: the device closed the connection; `error`: why it failed otherwise.
    """

    def __init__(
        self, loop: Loop, received: Callable[[bytes], None], changed: Callable[[], None]
    ) -> None:
        self.connected = False
        self.ended = False
        self.error: OSError | None = None
        self.opened_at = loop.now()
        self._loop = loop
        self._received = received
        self._changed = changed
        self._unsent = b""
        self._writes = False
        self._socket: socket.socket | None = None

    @property
    def usable(self) -> bool:
        """Whether it is connected, and not closed by either side."""
        return self.connected and not self.ended and self.error is None

    def open(self, address: Address) -> None:
        self.close()
        self.error = None
        family, where = address
        try:
            self._socket = end = socket.socket(family, socket.SOCK_STREAM)
            forks.keep(end)
            end.setblocking(False)  # noqa: FBT003 - the socket's own
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(BlockingIOError):
                end.connect(where)
        except OSError as error:
            self._fail(error)
            return
        self._loop.watch(end, selectors.EVENT_WRITE, self._ready)

    def send(self, data: bytes) -> None:
        """Send bytes, now or as soon as the device accepts them."""
        self._unsent += data
        if self.usable:
            self._flush()

    def close(self) -> None:
        """Close the connection, if it is open."""
        self.connected = False
        end, self._socket = self._socket, None
        if end is not None:
            self._loop.forget(end)
            end.close()

    def abandon(self) -> None:
        """Close this process's copy of the socket; the loop is its parent's."""
        end, self._socket = self._socket, None
        if end is not None:
            end.close()

    def _ready(self, events: int) -> None:
        if not self.connected:
            self._connected()
        elif events & selectors.EVENT_READ:
            self._receive()
        if self.usable and self._unsent:
            self._flush()

    def _connected(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is watched
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._fail(OSError(number, os.strerror(number)))
        else:
            self.connected = True
            self._loop.watch(self._socket, selectors.EVENT_READ, self._ready)
        self._changed()

    def _receive(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is watched
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            self._changed()
            return
        if data:
            self._received(data)
        else:
            self._fail(None)
            self._changed()

    def _flush(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is usable
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        if self._unsent or self._writes:
            self._loop.watch(self._socket, wanted, self._ready)
        self._writes = bool(self._unsent)

    def _fail(self, error: OSError | None) -> None:
        """Record why the line ended: closed by the device (FIN or RST), or another system error."""
        self.ended = error is None or isinstance(error, (ConnectionResetError, BrokenPipeError))
        self.error = error
        self.close()
