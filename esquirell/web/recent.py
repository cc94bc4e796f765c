"""A short cache of drawn pages."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

# Too short to notice; statistics are updated at most every 20 s anyway.
KEEP_S = 10.0
# A year by day, for wide and narrow windows, takes a quarter of a MiB.
MOST = 4

Value = TypeVar("Value")


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
