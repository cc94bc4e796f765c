"""Statistics that are not worked up yet: pages wait for them only for a moment.

After a restore or an upgrade, and with months of readings, working them up takes a while.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future

from esquirell.runtime.root import Runtime

# What comes later than this is waited for by the script of the page, which says how far it is.
PATIENCE_S = 1.0


class StatisticsBacklog:
    """Has statistics worked up by `work`, beside the pages."""

    def __init__(self, runtime: Runtime, work: Executor) -> None:
        self._runtime = runtime
        self._work = work
        self._lock = threading.Lock()
        self._running: dict[frozenset[str], Future[None]] = {}

    def work_up(self, meters: Sequence[str], patience_s: float = PATIENCE_S) -> tuple[int, int]:
        """Bring the statistics of some meters up to date; wait for so many seconds at most.

        Returns how many days are worked up, and of how many; the same number where all are.
        Raises UnavailableError.
        """
        storage = self._runtime.storage
        if storage.fresh_statistics.are_fresh(meters):
            return 0, 0
        try:
            self._begun(meters).result(patience_s)
        except TimeoutError:
            return storage.statistics.progress(meters)
        return 0, 0

    def _begun(self, meters: Sequence[str]) -> "Future[None]":
        """Return the work on these meters, which somebody else may wait for already."""
        key = frozenset(meters)
        ensure = self._runtime.storage.fresh_statistics.ensure
        with self._lock:
            self._running = {one: work for one, work in self._running.items() if not work.done()}
            if key not in self._running:
                self._running[key] = self._work.submit(ensure, list(meters))
            return self._running[key]
