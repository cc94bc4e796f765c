"""Parts of a process: threads that repeat a step, and are restarted when they die."""

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from esquirell.domain.errors import EsquirellError

log = logging.getLogger(__name__)

# Parts that wait for a second or more wake up together, at this fraction of one: waking a
# processor costs more than the step. Polls start with the second, and are mostly over by then.
TOGETHER_AT_S = 0.1
ROUNDING_S = 0.01

RunOnce = Callable[[], float]
Make = Callable[[], AbstractContextManager[RunOnce]]


class ServicePart:
    """Repeats a step in its own thread.

    `make` builds what the part needs, yields the step, and closes it at the end; a step returns the
    seconds to wait until the next, unless something wakes the part. After any failure the part is
    rebuilt, after a pause. `hurry` interrupts a step that waits for something, as the part is to
    end.
    """

    pause_after_failure_s = 1.0

    def __init__(self, name: str, make: Make, hurry: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self._make = make
        self._hurry = hurry
        self._turned_at = time.monotonic()
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._trouble = ""
        self._thread = self._new_thread()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def silent_s(self) -> float:
        """Return for how many seconds a due step has not started."""
        return max(0.0, time.monotonic() - self._turned_at)

    def start(self) -> None:
        """Start the thread, or a new one when the last died."""
        self._thread = self._new_thread()
        self._turned_at = time.monotonic()
        self._thread.start()

    def wake(self) -> None:
        """Start the next step now, as there is something to do; from any thread."""
        self._woken.set()

    def stop(self) -> None:
        """Ask the part to end after its current step."""
        self._stop.set()
        self._woken.set()
        self._hurry()

    def join(self, timeout: float) -> None:
        """Wait some seconds for the end."""
        if self.alive:
            self._thread.join(timeout)

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=self.name, daemon=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._repeat()
            except EsquirellError as error:
                self._complain(str(error))
                self._stop.wait(self.pause_after_failure_s)
            except Exception:  # whatever went wrong, the part goes on
                log.exception("%s failed and is restarted", self.name)
                self._stop.wait(self.pause_after_failure_s)

    def _repeat(self) -> None:
        with self._make() as run_once:
            while self._goes_on():
                self._turned_at = time.monotonic()
                pause_s = run_once()
                self._trouble = ""
                pause_s = together(pause_s, time.time())
                # A planned pause does not count as silence.
                self._turned_at = time.monotonic() + pause_s
                self._woken.wait(pause_s)

    def _complain(self, trouble: str) -> None:
        """Log a fault that has a sentence, once while it lasts."""
        level = logging.DEBUG if trouble == self._trouble else logging.ERROR
        log.log(level, "%s waits: %s", self.name, trouble)
        self._trouble = trouble

    def _goes_on(self) -> bool:
        """Whether there is another step; a wake-up from now on starts the one after it."""
        self._woken.clear()
        return not self._stop.is_set()


def repeating(
    name: str, step: Callable[[], RunOnce], hurry: Callable[[], None] = lambda: None
) -> ServicePart:
    """Return a part that has nothing to close; `step` returns what it repeats."""
    return ServicePart(name, lambda: nullcontext(step()), hurry)


def together(pause_s: float, now: float) -> float:
    """Return a pause of a second or more, up to a second shorter, so that all end together.

    `now` is the unix time (s).
    """
    if pause_s < 1.0:
        return pause_s
    end = math.floor(now + pause_s - TOGETHER_AT_S + ROUNDING_S) + TOGETHER_AT_S
    return end - now
