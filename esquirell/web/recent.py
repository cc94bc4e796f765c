"""What pages have for a moment: drawn ones from a short cache, and pending statistics."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from esquirell.runtime.root import Runtime

# Too short to notice; statistics are updated at most every 20 s anyway.
KEEP_S = 10.0
# A year by day, for wide and narrow windows, takes a quarter of a MiB.
MOST = 4

Value = TypeVar("Value")

# After this the page's script waits instead, and shows the progress.
PATIENCE_S = 1.0


class Recent(Generic[Value]):
    """Caches a few results for some seconds, as drawing competes with reading the meters.

    Of several simultaneous requests for the same, one does the work and the others wait.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()
        self._making: dict[Hashable, Future[Value]] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the cached result for this key, or compute it. Raises the error of that."""
        now = self._clock()
        with self._lock:
            until, value = self._kept.get(key, (now, None))
            if value is not None and now < until:
                return value
            running = self._making.get(key)
            if running is None:
                mine = self._making[key] = Future[Value]()
        if running is not None:
            return running.result()
        return self._make(key, make, mine, now)

    def _make(
        self, key: Hashable, make: Callable[[], Value], mine: "Future[Value]", now: float
    ) -> Value:
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._kept[key] = (now + KEEP_S, made)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        mine.set_result(made)
        return made


class StatisticsBacklog:
    """Computes statistics in `work`, outside the pages' threads."""

    def __init__(self, runtime: Runtime, work: Executor) -> None:
        self._runtime = runtime
        self._work = work
        self._lock = threading.Lock()
        self._running: dict[frozenset[str], Future[None]] = {}

    def work_up(self, meters: Sequence[str]) -> tuple[int, int]:
        """Bring the statistics of some meters up to date; wait for a moment at most.

        Returns how many days are done, and of how many; equal numbers mean all.
        Raises UnavailableError.
        """
        storage = self._runtime.storage
        if storage.fresh_statistics.are_fresh(meters):
            return 0, 0
        try:
            self._begun(meters).result(PATIENCE_S)
        except TimeoutError:
            return storage.statistics.progress(meters)
        return 0, 0

    def _begun(self, meters: Sequence[str]) -> "Future[None]":
        """Return the computation for these meters, which another page may have started."""
        key = frozenset(meters)
        ensure = self._runtime.storage.fresh_statistics.ensure
        with self._lock:
            self._running = {one: work for one, work in self._running.items() if not work.done()}
            if key not in self._running:
                self._running[key] = self._work.submit(ensure, list(meters))
            return self._running[key]
