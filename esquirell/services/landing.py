"""Reads that land, in batches that share a transaction."""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future

from esquirell.services.ports import Wanted
from esquirell.services.sample import Sample

# A transaction costs as much as ten readings in it; nobody waits for a single meter's.
GATHER_S = 0.015
# Between two looks at whether a poll is still wanted.
LOOK_EVERY_S = 0.5


class Landing:
    """Gives reads as they land, those that do so within a moment of each other together."""

    def __init__(self, flying: Collection[Future[Sample]]) -> None:
        self._landed: deque[Future[Sample]] = deque()
        self._pending = set(flying)
        self._some = threading.Event()
        self._all = threading.Event()
        for future in flying:
            future.add_done_callback(self._land)

    def batches(self, limit_s: float, wanted: Wanted) -> Iterator[set[Future[Sample]]]:
        """Give the batches; after `limit_s` seconds the rest, landed or not.

        Raises what `wanted` raises, which is asked every half second.
        """
        deadline = time.monotonic() + limit_s
        while self._pending and (left_s := deadline - time.monotonic()) > 0:
            wanted()
            if self._some.wait(min(left_s, LOOK_EVERY_S)):
                self._all.wait(GATHER_S)
                yield self._batch()
        if self._pending:
            yield self._pending

    def _batch(self) -> set[Future[Sample]]:
        self._some.clear()
        batch = {self._landed.popleft() for _ in range(len(self._landed))}
        self._pending -= batch
        return batch

    def _land(self, future: Future[Sample]) -> None:
        self._landed.append(future)
        if len(self._landed) == len(self._pending):
            self._all.set()
        self._some.set()
