"""What a signal handler may do: notify a thread that waits for it."""

import os
import queue
import signal
import sys
from collections.abc import Iterable


class Flag:
    """Set by a signal handler, waited for by one thread; `times` counts how often it was set.

    A `threading.Event` does not work here: a handler runs within the main thread, and if it
    interrupts `wait` while that holds the event's lock, `set` waits for the lock forever.
    `SimpleQueue.put` is reentrant, according to the standard library's documentation.
    """

    def __init__(self) -> None:
        self.times = 0
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self, *_: object) -> None:
        """Set the flag; the arguments are those of a signal handler."""
        self.times += 1
        self._wake.put(None)

    def is_set(self) -> bool:
        return self.times > 0

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is set, for at most this many seconds; return whether it is."""
        if not self.times:
            try:
                self._wake.get(timeout=timeout_s)
            except queue.Empty:
                return False
        return self.times > 0


class StartInterruption:
    """Ends a process that is starting, by an exit, so that what was started is stopped.

    Python ignores an exit raised within a destructor or a callback of the garbage collector, where
    a handler may run as well: so the signal is remembered, and looked at again.
    """

    def __init__(self) -> None:
        self.came = False

    def __call__(self, *_: object) -> None:
        """Handle the signal. Raises SystemExit."""
        self.came = True
        self.check()

    def check(self) -> None:
        """Raise SystemExit if the signal came."""
        if self.came:
            sys.exit(0)

    def repeat(self) -> None:
        """Send it again if it came, to the handler that has taken over."""
        if self.came:
            self.came = False
            os.kill(os.getpid(), signal.SIGTERM)


START = StartInterruption()
# Set by a SIGHUP during the start: what was read by then may have changed.
HANGUP = Flag()


def restart() -> None:
    """End this process as a signal does, to be replaced by a new one.

    SIGINT, as the system merges signals of one number that come within milliseconds: a SIGTERM from
    outside would be taken for this one, and the process would start again instead of ending.
    """
    os.kill(os.getpid(), signal.SIGINT)


def flag_of(numbers: Iterable[int]) -> Flag:
    """Return a flag that these signals set from now on."""
    flag = Flag()
    for number in numbers:
        signal.signal(number, flag.set)
    return flag
