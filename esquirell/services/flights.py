"""Reads under way in this process: one per meter, shared by those who ask meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from esquirell.domain.meter import Meter
from esquirell.services.sample import Sample


class Read(Protocol):
    """Asks a meter for its values."""

    def __call__(self, meter: Meter, *, forced: bool) -> Sample:
        """Read the meter; `forced` ignores a cool-down."""
        ...


class Flights:
    """Runs reads side by side, at most one per meter at a time.

    Threads are started as needed, up to `threads`: an idle process has none.
    """

    def __init__(self, read: Read, clock: Callable[[], float], threads: int) -> None:
        self._read = read
        self._monotonic = clock
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="poll")
        self._lock = threading.Lock()
        self._under_way: dict[str, tuple[float, Future[Sample]]] = {}

    def join(self, meter: Meter, *, forced: bool) -> tuple[Future[Sample], bool]:
        """Start reading a meter, unless a read of it is under way; tell whether it was started."""
        with self._lock:
            if meter.name in self._under_way:
                return self._under_way[meter.name][1], False
            future = self._executor.submit(self._read, meter, forced=forced)
            self._under_way[meter.name] = (self._monotonic(), future)
        future.add_done_callback(lambda _: self._landed(meter.name))
        return future, True

    def has(self, meter: str) -> bool:
        """Tell whether a read of a meter is under way."""
        with self._lock:
            return meter in self._under_way

    def oldest_s(self) -> float:
        """Tell how many seconds the oldest read has been under way."""
        with self._lock:
            started = [entry[0] for entry in self._under_way.values()]
        return self._monotonic() - min(started) if started else 0.0

    def close(self) -> None:
        """Start no further read; those under way end by their own time limits."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _landed(self, meter: str) -> None:
        with self._lock:
            self._under_way.pop(meter, None)
