"""Pending statistics: pages wait only a moment for them, also after a restore or an upgrade."""

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future

from esquirell.runtime.root import Runtime

# After this the page's script waits instead, and shows the progress.
PATIENCE_S = 1.0


class StatisticsBacklog:
    """Computes statistics in `work`, outside the pages' threads."""

    def __init__(self, runtime: Runtime, work: Executor) -> None:
        self._runtime = runtime
        self._work = work
        self._lock = threading.Lock()
        self._running: dict[frozenset[str], Future[None]] = {}

    def work_up(self, meters: Sequence[str]) -> tuple[int, int]:
        """Bring the statistics of some meters up to date; wait for a moment at most.

        Returns how many days are done, and of how many; equal numbers mean all.
        Raises UnavailableError.
        """
        storage = self._runtime.storage
        if storage.fresh_statistics.are_fresh(meters):
            return 0, 0
        try:
            self._begun(meters).result(PATIENCE_S)
        except TimeoutError:
            return storage.statistics.progress(meters)
        return 0, 0

    def _begun(self, meters: Sequence[str]) -> "Future[None]":
        """Return the computation for these meters, which another page may have started."""
        key = frozenset(meters)
        ensure = self._runtime.storage.fresh_statistics.ensure
        with self._lock:
            self._running = {one: work for one, work in self._running.items() if not work.done()}
            if key not in self._running:
                self._running[key] = self._work.submit(ensure, list(meters))
            return self._running[key]
