"""Saving what was read, also what could not be saved a moment ago."""

import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import Reading
from esquirell.domain.status import MeterStatus
from esquirell.services.ports import ReadingStore

log = logging.getLogger(__name__)

WAITING_LIMIT = 10_000


class Saver:
    """Stores readings in one transaction per batch; keeps them while the database is away."""

    def __init__(self, store: ReadingStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: deque[Reading] = deque(maxlen=WAITING_LIMIT)

    @property
    def waiting(self) -> int:
        """Count the readings that wait for the database."""
        return len(self._waiting)

    def save(
        self, readings: Iterable[Reading], statuses: Mapping[str, MeterStatus]
    ) -> UnavailableError | None:
        """Store readings and statuses; give the error when the database is away."""
        with self._lock:
            had_waiting = bool(self._waiting)
            self._waiting.extend(readings)
            try:
                self._store.add(tuple(self._waiting), statuses)
            except UnavailableError as error:
                self._complain(error, already=had_waiting)
                return error
            self._report_done(had_waiting=had_waiting)
            self._waiting.clear()
        return None

    def _complain(self, error: UnavailableError, *, already: bool) -> None:
        level = logging.DEBUG if already else logging.WARNING
        log.log(level, "%d readings wait for the database: %s", self.waiting, error)

    def _report_done(self, *, had_waiting: bool) -> None:
        if had_waiting:
            log.info("the database is back: %d readings were stored", self.waiting)
