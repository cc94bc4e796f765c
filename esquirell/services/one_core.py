"""One core for the threads of a poll, which share the interpreter anyway."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# What Python 3.13 says of itself; before it there is always one lock for all threads.
_TAKES_TURNS = getattr(sys, "_is_gil_enabled", lambda: True)()

CHOICE_S = 60.0


class OneCore:
    """Keeps threads that take turns at the interpreter on the core where the first one runs.

    On several cores each turn wakes another core, which then has to fetch what the last one
    had in its caches: a third of the CPU of reading a hundred meters. The system chooses the
    core, anew each minute: it starts a thread where there is least to do. Without such calls,
    as on macOS, and where threads take no turns, nothing is changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._core: int | None = None
        self._leaders = 0
        self._choice_until = 0.0

    @contextmanager
    def lead(self) -> Iterator[None]:
        """Stay on one core meanwhile, as do those who `follow`; several may lead at once."""
        before = _allowed()
        self._begin(before)
        try:
            self.follow()
            yield
        finally:
            self._end()
            _allow(before)

    def follow(self) -> None:
        """Go to the core where the leader is, and stay there."""
        core = self._core
        if core is not None:
            _allow({core})

    def _begin(self, allowed: set[int]) -> None:
        now = time.monotonic()
        with self._lock:
            if self._core not in allowed or (not self._leaders and now >= self._choice_until):
                self._core, self._choice_until = _here(), now + CHOICE_S
            self._leaders += 1

    def _end(self) -> None:
        with self._lock:
            self._leaders -= 1


def _here() -> int | None:
    """Give the core that this thread runs on."""
    if not (_TAKES_TURNS and sys.platform == "linux"):
        return None
    # Python does not offer sched_getcpu(3), which gives -1 where it is not allowed.
    asked = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    return core if asked and (core := int(asked())) >= 0 else None


def _allowed() -> set[int]:
    """Give the cores that this thread may run on."""
    return os.sched_getaffinity(0) if sys.platform == "linux" else set()


def _allow(cores: set[int]) -> None:
    """Let this thread run on these cores; refused, it goes on as it is."""
    if cores and sys.platform == "linux":
        with suppress(OSError):
            os.sched_setaffinity(0, cores)
