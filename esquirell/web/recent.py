"""What was drawn a moment ago, kept for the next request for the same."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

# No longer than people notice; statistics are brought up to date every 20 s at most anyway.
KEEP_S = 10.0
# A year by day, for wide windows and narrow ones, is a quarter of a MiB.
MOST = 4

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Keeps a few results of work for some seconds: drawing competes with reading the meters."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return what was made for this key a moment ago, else make it. Raises what that raises."""
        now = self._clock()
        with self._lock:
            until, value = self._kept.get(key, (now, None))
        if value is not None and now < until:
            return value
        made = make()
        with self._lock:
            self._kept[key] = (now + KEEP_S, made)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return made
