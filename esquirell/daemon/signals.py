"""What a signal handler may do: leave word for a thread that waits for it."""

import queue
import signal
from collections.abc import Iterable


class Flag:
    """Set by a signal handler, waited for by one thread; `times` says how often it was set.

    A `threading.Event` is no good for that: a handler runs within the main thread, and when it
    interrupts `wait` where that holds the lock of the event, `set` waits for the lock for ever.
    `SimpleQueue.put` is reentrant, as the standard library's documentation of it says.
    """

    def __init__(self) -> None:
        self.times = 0
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self, *_: object) -> None:
        """Leave word; the arguments are those of a signal handler."""
        self.times += 1
        self._wake.put(None)

    def is_set(self) -> bool:
        """Return whether word was left."""
        return self.times > 0

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is set, for at most so many seconds; return whether it is."""
        if not self.times:
            try:
                self._wake.get(timeout=timeout_s)
            except queue.Empty:
                return False
        return self.times > 0


def flag_of(numbers: Iterable[int]) -> Flag:
    """Return a flag that these signals set from now on."""
    flag = Flag()
    for number in numbers:
        signal.signal(number, flag.set)
    return flag
