"""Reads that land, in batches that share a transaction."""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future

from esquirell.domain.reading import Reading

# A transaction costs as much as ten readings in it; nobody waits for a single meter's.
GATHER_S = 0.015


class Landing:
    """Gives reads as they land, those that do so within a moment of each other together."""

    def __init__(self, flying: Collection[Future[Reading]]) -> None:
        self._landed: deque[Future[Reading]] = deque()
        self._pending = set(flying)
        self._some = threading.Event()
        self._all = threading.Event()
        for future in flying:
            future.add_done_callback(self._land)

    def batches(self, limit_s: float) -> Iterator[set[Future[Reading]]]:
        """Give the batches; after `limit_s` seconds the rest, landed or not."""
        deadline = time.monotonic() + limit_s
        while self._pending and self._some.wait(max(0.0, deadline - time.monotonic())):
            self._all.wait(GATHER_S)
            self._some.clear()
            batch = {self._landed.popleft() for _ in range(len(self._landed))}
            self._pending -= batch
            yield batch
        if self._pending:
            yield self._pending

    def _land(self, future: Future[Reading]) -> None:
        self._landed.append(future)
        if len(self._landed) == len(self._pending):
            self._all.set()
        self._some.set()
