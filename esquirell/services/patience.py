"""Limited waiting for calls that may hang: a frozen server, a failing disk."""

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

# Longer than a slow card takes to write, and short enough for a late reading.
PATIENCE_S = 2.0
# For testing whether a database works again, in a thread that has nothing else to do.
TRIAL_S = 30.0

Outcome = TypeVar("Outcome")


class StalledError(UnavailableError):
    """A call is taking too long; it may still succeed later."""


class Lane:
    """Runs work in order in its own thread, so that callers need not wait for it to end.

    Waiting in the kernel can't be interrupted from outside, but the caller can go on.
    """

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        self._name = name
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._pid = 0
        self._began = 0.0

    def run(self, work: Callable[[], Outcome], patience_s: float | None = None) -> Outcome:
        """Run work and return its result, or raise its error.

        Raises StalledError when it takes longer than `patience_s` seconds, by default the lane's,
        and at once while earlier work does: work that has begun is never interrupted. Also raises
        it when no thread can be started.
        """
        return self.start(work, patience_s)()

    def start(
        self, work: Callable[[], Outcome], patience_s: float | None = None
    ) -> Callable[[], Outcome]:
        """Begin work; return a function that waits for it, and returns or raises as `run` does."""
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
        """Return for how many seconds the current work has been running; 0 if there is none."""
        began = self._began
        # After a fork the parent's work continues only there.
        is_ours = began and self._pid == os.getpid()
        return time.monotonic() - began if is_ours else 0.0

    def _stalled(self) -> StalledError:
        waited_s = max(self.stalled_s(), self._patience_s)
        return StalledError(f"{self._name} has not answered for {waited_s:.0f} s")

    def _queue(self) -> "queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]]":
        """Return the queue of work; a forked process starts a thread of its own."""
        with self._lock:
            if self._pid != os.getpid():
                self._began, self._work = 0.0, queue.SimpleQueue()
                try:
                    threading.Thread(target=self._run, name=self._name, daemon=True).start()
                except RuntimeError as error:
                    # The system is out of threads; the next use tries again.
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
            # Free the result now, not when the next work comes.
            del future, work


class PatientStore:
    """A store of readings that never blocks its callers; reads do not wait for writes.

    Writing that raised StalledError may still have succeeded; repeating it is harmless.
    """

    def __init__(self, store: ReadingStore, patience_s: float = PATIENCE_S) -> None:
        self._store = store
        self._reading = Lane("the database", patience_s)
        self._writing = Lane("the database", patience_s)
        # Called after each transaction: the number of its readings, and how long it took (s).
        self.on_stored: Callable[[int, float], None] | None = None

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store readings and changed statuses. Raises UnavailableError."""
        self._writing.run(lambda: self._add(readings, statuses))

    def _add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        began = time.monotonic()
        self._store.add(readings, statuses)
        if self.on_stored:
            self.on_stored(len(readings), time.monotonic() - began)

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        """Return the stored ledgers of these meters, by name. Raises UnavailableError."""
        return self.look_up(names)()

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        """Begin to look up ledgers; return a function that waits. Both raise UnavailableError."""
        return self._reading.start(lambda: self._store.ledgers(names))

    def statuses(self) -> dict[str, MeterStatus]:
        """Return the status of every meter ever seen, by name. Raises UnavailableError."""
        return self._reading.run(self._store.statuses)

    def try_out(self) -> None:
        """Write a row and roll it back. Raises UnavailableError with the reason if that fails."""
        self._writing.run(self._store.try_out, TRIAL_S)
