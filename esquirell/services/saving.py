"""Saving readings: in the database, on the disk while it is unreachable, else in memory."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from esquirell.domain.errors import (
    SpoolError,
    UnavailableError,
    UnstorableError,
)
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.services.patience import Lane, StalledError
from esquirell.services.ports import ReadingStore, Spool
from esquirell.services.statuses import Statuses
from esquirell.services.timekeeping import Dating, Judge, Timekeeper

log = logging.getLogger(__name__)

SLOW = UnavailableError("the database is slow: the reading is stored when it answers")
# The last resort when the disk is full.
MEMORY_LIMIT = 10_000
BATCH = 500
# After this many refusals in a row the database is at fault, not the readings.
MOST_REFUSED = 5
# How long (s) a thread with readings waits for another one that is trying the database.
TURN_S = 1.0
# After so many seconds a database that hung is tried by a caller that has something to store: the
# processes of a forking pool, which store that a meter could not be asked, never call `retry`.
TRY_AGAIN_S = 30.0
# How long (s) an empty spool is not examined again: each look wakes a thread.
EMPTY_S = 30.0

Kept = TypeVar("Kept")


class Saver:
    """Stores readings in one transaction per batch; spools them while the database is unreachable.

    `dating` finds the time of readings that were taken while the clock was wrong; without it the
    clock is believed.
    """

    def __init__(
        self,
        store: ReadingStore,
        spool: Spool,
        dating: Dating | None = None,
        disk: Lane | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self.store = store
        self._spool = spool
        self._dating = dating
        self._lock = threading.Lock()
        self._memory: deque[Reading] = deque(maxlen=MEMORY_LIMIT)
        self._away: UnavailableError | None = None
        self._no_room: SpoolError | None = None
        self._stuck = False
        # Until then (monotonic s) a database that hangs is left to `retry`, which has the time.
        self._stalled_until = 0.0
        self._disk = disk or Lane("the disk")
        self._keeping = threading.Lock()
        # What an earlier process could not store waits as well.
        self._may_wait = True
        # When (monotonic s) the spool was seen to be empty, unless something was kept since.
        self._empty_at = float("-inf")

    @property
    def waiting(self) -> int:
        """Count the readings that wait for the database.

        Those that another process of this machine keeps may count half a minute later.
        """
        if self._monotonic() - self._empty_at < EMPTY_S:
            return len(self._memory)
        # Set before the count: a reading spooled meanwhile resets it.
        self._empty_at = self._monotonic()
        try:
            kept = self._on_disk(self._spool.count)
        except SpoolError as error:
            log.debug("the spool is not counted: %s", error)
            self._empty_at = float("-inf")
            return len(self._memory)
        if kept:
            self._empty_at = float("-inf")
        return len(self._memory) + kept

    @property
    def problems(self) -> list[str]:
        """Return why readings wait, in the words of the database and the disk, if any do."""
        reasons = (("the database", self._away), ("space on the disk", self._no_room))
        return [f"readings wait for {what}: {why}" for what, why in reasons if why is not None]

    def retry(self) -> None:
        """Try to store again what could not be stored, if something could not; never raises.

        Also what was kept as the database was slow: another reading may not come for long.
        """
        if self._away is None and self._no_room is None and not self._may_wait:
            return
        try:
            self.store.try_out()
        except UnavailableError as error:
            self._away = error
        else:
            self._stalled_until = 0.0
            self.save((), {})

    def leave(self) -> None:
        """Log what is lost with this process: what neither the database nor the disk has taken."""
        if self._memory:
            problems = "; ".join(self.problems)
            log.error("%d readings are lost with this process: %s", len(self._memory), problems)

    @property
    def timekeeper(self) -> Timekeeper | None:
        """Decides whether the clock is right; None where that is not asked."""
        return self._dating.timekeeper if self._dating else None

    def date_waiting(self, judge: Judge, statuses: Statuses) -> None:
        """Judge and store readings whose time is known by now; never raises."""
        if self._dating:
            self._dating.settle(judge, lambda readings: self.save(readings, {}), statuses)

    def save(
        self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]
    ) -> UnavailableError | None:
        """Store readings and statuses; return the error when the database is unreachable.

        A database that is locked or hangs is noticed within seconds; callers that come meanwhile
        do not queue for it. Readings whose time is unknown wait in the spool.
        """
        if undated := [reading for reading in readings if reading.undated]:
            self._keep(undated)
            if self._dating:
                self._dating.expect()
            readings = [reading for reading in readings if not reading.undated]
        stalled = self._monotonic() < self._stalled_until
        if stalled or not self._lock.acquire(timeout=0 if self._away else TURN_S):
            self._keep(readings)
            return self._away or SLOW
        try:
            self._store(readings, statuses)
        finally:
            self._lock.release()
        return self._away

    def _store(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        try:
            refused = self._store_waiting() if self._may_wait else {}
            self._add(readings, statuses)
            if refused and not readings:
                raise next(iter(refused.values()))
            with suppress(SpoolError):
                self._set_aside(refused)
        except UnavailableError as error:
            if isinstance(error, StalledError):
                self._stalled_until = self._monotonic() + TRY_AGAIN_S
            self._complain(error)
            self._keep(readings)
        else:
            self._away = None

    def _add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store readings in one transaction. Raises UnavailableError, whatever goes wrong."""
        try:
            self.store.add(readings, statuses)
        except UnavailableError:
            raise
        except Exception as error:
            # An unexpected error, such as too little memory, is no reason to lose a reading.
            log.debug("the database failed unexpectedly", exc_info=True)
            raise UnavailableError(f"storing failed unexpectedly: {error!r}") from error

    def _store_waiting(self) -> dict[int, UnstorableError]:
        """Store what waits, the oldest first.

        Return what is left of the spool, by number, if the database takes none of what is tried.
        Raises UnavailableError.
        """
        # Reset first: a reading spooled meanwhile sets it again.
        self._may_wait = False
        try:
            stored, refused = self._store_spooled()
            stored += self._store_remembered()
        except UnavailableError:
            self._may_wait = True
            raise
        if stored:
            log.info("the database is back: %d readings were stored", stored)
        return refused

    def _store_remembered(self) -> int:
        with self._keeping:
            remembered = [reading for reading in self._memory if not reading.undated]
        refused = {id(reading) for reading in self._refused(remembered)}
        stored = {id(reading) for reading in remembered} - refused
        with self._keeping:
            left = [reading for reading in self._memory if id(reading) not in stored]
            self._memory.clear()
            self._memory.extend(left)
            if not left:
                self._no_room = None
        if refused:
            # The disk sets them aside, as soon as it takes them.
            self._keep(())
        return len(stored)

    def _refused(self, readings: Sequence[Reading]) -> list[Reading]:
        """Store readings; return those that the database never takes. Raises UnavailableError."""
        try:
            self._add(readings, {})
        except UnstorableError:
            middle = len(readings) // 2
            if not middle:
                return list(readings)
            return self._refused(readings[:middle]) + self._refused(readings[middle:])
        return []

    def _store_spooled(self) -> tuple[int, dict[int, UnstorableError]]:
        """Return how many were stored, and what was refused while none was, by number.

        A reading is to blame only if the database takes others: it may refuse all, as with a rule
        that somebody added to its table. Raises UnavailableError.
        """
        # A database that failed is tried with a single reading, as fetching hundreds costs much.
        stored, limit, after = 0, 1 if self._away else BATCH, 0
        refused: dict[int, UnstorableError] = {}
        try:
            while len(refused) < MOST_REFUSED:
                readings, number = self._on_disk(partial(self._spool.oldest, limit, after))
                if not readings:
                    break
                try:
                    self._add(readings, {})
                except UnstorableError as error:
                    if len(readings) > 1:
                        # One of them is to blame: half of them may be without it.
                        limit = len(readings) // 2
                        continue
                    refused[number], after = error, number
                else:
                    self._set_aside(refused)
                    refused = {}
                    self._on_disk(partial(self._spool.forget, number))
                    stored += len(readings)
                limit = min(2 * limit, BATCH)
            if stored:
                self._set_aside(refused)
                refused = {}
        except SpoolError as error:
            # New readings must not wait because old ones can't be read.
            level = logging.DEBUG if self._stuck else logging.WARNING
            log.log(level, "readings stay in the spool: %s", error)
            self._may_wait = self._stuck = True
        else:
            self._stuck = False
        self._may_wait |= bool(refused)
        return stored, refused

    def _set_aside(self, refused: Mapping[int, UnstorableError]) -> None:
        """Move readings of the spool out of the way that the database never takes.

        Raises SpoolError; then they stay.
        """
        if refused:
            self._on_disk(partial(self._spool.set_aside, refused))

    def _keep(self, readings: Sequence[Reading]) -> None:
        """Keep readings on the disk, or in memory while the disk takes none."""
        with self._keeping:
            self._memory.extend(readings)
            try:
                self._on_disk(partial(self._spool.add, tuple(self._memory)))
            except SpoolError as error:
                self._complain_of_the_disk(error)
            else:
                self._memory.clear()
                self._no_room = None
        self._may_wait, self._empty_at = True, float("-inf")

    def _on_disk(self, work: Callable[[], Kept]) -> Kept:
        """Run work on the spool. Raises SpoolError, also for a disk that hangs."""
        try:
            return self._disk.run(work)
        except StalledError as error:
            raise SpoolError(str(error)) from error

    def _complain_of_the_disk(self, error: SpoolError) -> None:
        level = logging.DEBUG if self._no_room else logging.WARNING
        log.log(level, "readings wait in memory only, %d at most: %s", MEMORY_LIMIT, error)
        self._no_room = error

    def _complain(self, error: UnavailableError) -> None:
        level = logging.DEBUG if self._away else logging.WARNING
        log.log(level, "readings wait for the database: %s", error)
        self._away = error
