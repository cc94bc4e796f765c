"""Limited waits for what may hang: a frozen server, a disk that does not come back."""

import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.services.ports import ReadingStore

# Longer than a slow card takes to write, shorter than anybody minds that a reading is late.
PATIENCE_S = 2.0
# To find out whether a database works again, in a thread that has nothing else to do.
TRIAL_S = 30.0

Outcome = TypeVar("Outcome")


class StalledError(UnavailableError):
    """Go on without it: what was asked for may still happen later."""


class Lane:
    """Runs pieces of work one after the other in its own thread, so that callers need not wait.

    A wait in the kernel can't be ended from outside, but its caller can go on.
    """

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        self._name = name
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._pid = 0
        self._began = 0.0

    def run(self, work: Callable[[], Outcome], patience_s: float | None = None) -> Outcome:
        """Do some work and return what it returns, or raise what it raises.

        Raises StalledError when it takes longer than `patience_s` seconds, by default those of the
        lane, and at once while earlier work does: work that has begun is done to its end. Raises it
        as well when no thread can be started.
        """
        return self.start(work, patience_s)()

    def start(
        self, work: Callable[[], Outcome], patience_s: float | None = None
    ) -> Callable[[], Outcome]:
        """Begin some work; return what waits for it, which returns or raises what `run` does."""
        limit_s = self._patience_s if patience_s is None else patience_s
        if self.stalled_s() > limit_s:
            raise self._stalled()
        future: Future[Outcome] = Future()
        self._queue().put((future, work))

        def wait() -> Outcome:
            try:
                return future.result(limit_s)
            except TimeoutError:
                if not future.cancel() and future.done():
                    return future.result()
                raise self._stalled() from None

        return wait

    def stalled_s(self) -> float:
        """Return for how many seconds the present work has been going on; 0 without any."""
        began = self._began
        # What a parent process was at when it was forked goes on there alone.
        is_ours = began and self._pid == os.getpid()
        return time.monotonic() - began if is_ours else 0.0

    def _stalled(self) -> StalledError:
        waited_s = max(self.stalled_s(), self._patience_s)
        return StalledError(f"{self._name} has not answered for {waited_s:.0f} s")

    def _queue(self) -> "queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]]":
        """Return where work goes; a process that was forked needs a thread of its own."""
        with self._lock:
            if self._pid != os.getpid():
                self._began, self._work = 0.0, queue.SimpleQueue()
                try:
                    threading.Thread(target=self._run, name=self._name, daemon=True).start()
                except RuntimeError as error:
                    # The system has no thread left; the next use tries again.
                    raise StalledError(f"{self._name} can't be used: {error}") from error
                self._pid = os.getpid()
            return self._work

    def _run(self) -> None:
        work_to_do = self._work
        while True:
            future, work = work_to_do.get()
            if not future.set_running_or_notify_cancel():
                continue
            self._began = time.monotonic()
            try:
                outcome = work()
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                self._began = 0.0
                future.set_exception(error)
            else:
                self._began = 0.0
                future.set_result(outcome)
            # Nothing read may stay in memory until there is something else to do.
            del future, work


class PatientStore:
    """A store of readings that blocks no caller; reads do not wait for writes.

    What raised StalledError may have been stored all the same; storing it again is harmless.
    """

    def __init__(self, store: ReadingStore, patience_s: float = PATIENCE_S) -> None:
        self._store = store
        self._reading = Lane("the database", patience_s)
        self._writing = Lane("the database", patience_s)

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store readings and changed statuses. Raises UnavailableError."""
        self._writing.run(lambda: self._store.add(readings, statuses))

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        """Return the stored ledgers of these meters, by name. Raises UnavailableError."""
        return self.look_up(names)()

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        """Begin to look up ledgers; return what waits for them. Both raise UnavailableError."""
        return self._reading.start(lambda: self._store.ledgers(names))

    def statuses(self) -> dict[str, MeterStatus]:
        """Return the status of every meter ever seen, by name. Raises UnavailableError."""
        return self._reading.run(self._store.statuses)

    def try_out(self) -> None:
        """Write a row and take it back. Raises UnavailableError that says why it can't be."""
        self._writing.run(self._store.try_out, TRIAL_S)
