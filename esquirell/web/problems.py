"""What keeps the service from its work: looked up beside the pages, and only while somebody looks.

Meters whose polls have stopped look as if they were offline themselves: the pages that show them
say what it is.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor

log = logging.getLogger(__name__)

LOOKED_UP_EVERY_S = 10.0
_NUMBER = re.compile(r"\d[\d.,:]*")


class Problems:
    """Knows the problems that lasted from one look to the next, one sentence each.

    What is gone by the next look, such as a part that was just starting, is not shown. `changed` is
    called when other problems are known than before; a number that changes does not make another.
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
        self._has_failed = False

    def known(self) -> Sequence[str]:
        """Return what is known, and have it looked up again if it is old; waits for nothing."""
        with self._lock:
            if self._clock() >= self._due_at:
                self._due_at = float("inf")
                self._work.submit(self._look)
        return self._known

    def _look(self) -> None:
        try:
            if self._look_up():
                self._changed()
            self._has_failed = False
        except Exception:
            # What was known stays. Until it works again, once is enough for the log.
            if not self._has_failed:
                log.exception("what keeps the service from its work could not be looked up")
            self._has_failed = True
        finally:
            self._due_at = self._clock() + LOOKED_UP_EVERY_S

    def _look_up(self) -> bool:
        """Take over what is found now; return whether other problems are known than before."""
        before, found = self._known, self._find()
        kinds = zip(found, kinds_of(found), strict=True)
        found_before = kinds_of(self._found)
        self._known = tuple(one for one, kind in kinds if kind in found_before)
        self._found = found
        return kinds_of(self._known) != kinds_of(before)


def kinds_of(problems: Iterable[str]) -> list[str]:
    """Return sentences without their numbers: with other numbers a problem is still the same."""
    return [_NUMBER.sub("", one) for one in problems]
