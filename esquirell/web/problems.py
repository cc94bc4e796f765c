"""What keeps the service from its work: looked up beside the pages, and only while somebody looks.

Meters whose polls have stopped look as if they were offline themselves: the pages that show them
say what it is.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor

LOOKED_UP_EVERY_S = 10.0


class Problems:
    """Knows the problems that lasted from one look to the next, one sentence each.

    What is gone by the next look, as a part that is just starting, is not worth a word. `changed`
    is called when others are known than before.
    """

    def __init__(
        self,
        find: Callable[[], Collection[str]],
        work: Executor,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._work = work
        self._changed = changed
        self._clock = clock
        self._lock = threading.Lock()
        self._due_at = float("-inf")
        self._found: Collection[str] = ()
        self._known: Sequence[str] = ()

    def known(self) -> Sequence[str]:
        """Return what is known, and have it looked up again if it is old; waits for nothing."""
        with self._lock:
            if self._clock() >= self._due_at:
                self._due_at = float("inf")
                self._work.submit(self._look)
        return self._known

    def _look(self) -> None:
        before = self._known
        try:
            found = self._find()
            self._known = tuple(one for one in found if one in self._found)
            self._found = found
        finally:
            self._due_at = self._clock() + LOOKED_UP_EVERY_S
        if self._known != before:
            self._changed()
