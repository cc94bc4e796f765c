"""Which thread of this process may write next: first come, first served.

SQLite has no queue of writers: whoever waits looks again every tenth of a second, and another one
may have begun in between. Two threads that work up statistics in turn could keep the readings out
for as long as both take.
"""

import threading
from collections import deque


class WriteQueue:
    """Lets one thread at a time write, in the order in which they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: deque[threading.Event] = deque()

    def take(self, patience_s: float) -> bool:
        """Wait for a turn, so many seconds at most; return whether it came."""
        with self._lock:
            if not self._busy:
                self._busy = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(patience_s):
            return True
        with self._lock:
            # It may have come in just this moment.
            if mine.is_set():
                return True
            self._waiting.remove(mine)
            return False

    def pass_on(self) -> None:
        """End a turn; the next one in the queue has it."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy = False
