"""Problems that keep the service from working, looked up only while a page is open.

When polling has stopped, meters look offline although they are not: the pages that show them
name the cause.
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
    """Knows the problems that lasted from one check to the next, one sentence each.

    A problem that is gone by the next check, such as a part that was starting, is not shown.
    `changed` is called when the list changes; another number in a problem is no change.
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
        """Return the known problems, and look them up again if they are old; does not wait."""
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
            # The old list stays. Logging the first failure is enough.
            if not self._has_failed:
                log.exception("the problems of the service could not be looked up")
            self._has_failed = True
        finally:
            self._due_at = self._clock() + LOOKED_UP_EVERY_S

    def _look_up(self) -> bool:
        """Update the list; return whether it has changed."""
        before, found = self._known, self._find()
        kinds = zip(found, kinds_of(found), strict=True)
        found_before = kinds_of(self._found)
        self._known = tuple(one for one, kind in kinds if kind in found_before)
        self._found = found
        return kinds_of(self._known) != kinds_of(before)


def kinds_of(problems: Iterable[str]) -> list[str]:
    """Return sentences without their numbers, to compare problems."""
    return [_NUMBER.sub("", problem) for problem in problems]
