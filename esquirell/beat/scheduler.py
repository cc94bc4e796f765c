"""RedBeat's scheduler, hardened against outages of Redis, bad entries and clock changes."""

import json
import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from celery import Celery
from celery.beat import SchedulingError
from celery.utils.saferepr import saferepr
from kombu.exceptions import OperationalError

from esquirell.beat import timetable as entries
from esquirell.beat.redbeat import RedBeatScheduler, client_of, settings_of
from esquirell.beat.snapshot import SEEDED_KEY, Order, ScheduleSnapshot, ScheduleSnapshots
from esquirell.beat.timetable_view import UNREADABLE
from esquirell.broker.connection import RedisError
from esquirell.broker.lease import Lease
from esquirell.broker.outage import Outage
from esquirell.broker.queue import sent_now
from esquirell.broker.transport import Unsent, collected
from esquirell.domain.errors import UnavailableError
from esquirell.domain.schedule import FETCH, short_task_name

log = logging.getLogger(__name__)

# A change from another process takes effect within this time; one from this process wakes beat.
TURN_S = 2.0
RECONCILE_S = 30.0
CLOCK_STEP_S = 1.0
# Without a worker, messages would pile up in Redis without limit.
QUEUE_LIMIT = 1000
# As long as Celery shows arguments.
SHOWN_CHARACTERS = 1024


class Clocks(NamedTuple):
    """The wall clock and the monotonic clock, both in seconds."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def offset(self) -> float:
        """Return how far they are apart: a change means that the clock was set."""
        return self.wall() - self.monotonic()


REAL_CLOCKS = Clocks()


class Scheduler(RedBeatScheduler):
    """Sends what is due; only `stop` ends it.

    `sync` derives the entries from the database; it is called at the start, when Redis came back
    empty, after a clock change, and every 30 s. `is_active` is false while another process
    schedules.
    """

    Entry = entries.Entry

    def __init__(
        self,
        app: Celery,
        snapshots: ScheduleSnapshots,
        sync: Callable[[], None],
        lease: Lease,
        outage: Outage,
        clocks: Clocks = REAL_CLOCKS,
    ) -> None:
        settings_of(app)
        super().__init__(app, lazy=True, max_interval=TURN_S)
        self._snapshots = snapshots
        self._snapshot = ScheduleSnapshot()
        # What is due, or will be before the next check.
        self._entries: dict[str, entries.Entry] = {}
        self._waiting = 0
        # The messages of each schedule's last poll: the next one makes them useless.
        self._polls: dict[str, list[Unsent]] = {}
        # What was written last, by its digest, and the keys of its entries.
        self._listed: tuple[str | None, frozenset[str]] = (None, frozenset())
        self._sync = sync
        self._lease = lease
        self.is_active = True
        self._outage = outage
        self._synced_at = float("-inf")
        self._clocks = clocks
        self._clock_offset = clocks.offset()

    def tick(self) -> float:
        """Send what is due; return the seconds until the next check. Redis never makes it raise."""
        try:
            wait_s = self._tick()
        except (RedisError, OperationalError, UnavailableError) as error:
            self._outage.failed("beat", error)
            return TURN_S
        self._outage.works("beat")
        return wait_s

    def _tick(self) -> float:
        self.is_active = self._lease.hold()
        if not self.is_active:
            self._entries = {}
            return TURN_S
        self._follow_the_clock()
        self._reconcile()
        # An unreachable database may have taken longer than the lease lasts.
        if not self._lease.hold():
            return TURN_S
        if any(entry.is_due()[0] for entry in self._entries.values()):
            # Became due since the query: it was added, or the query took long.
            self._look()
        return min([TURN_S, *(float(entry.is_due()[1]) for entry in self._entries.values())])

    def close(self) -> None:
        """Write pending runs and release the lease, so that another beat takes over."""
        try:
            self._snapshots.close()
        except RedisError as error:
            log.debug("the last runs could not be recorded: %s", error)
        self._lease.release()

    def _orders(self) -> list[Order]:
        """Return the messages of everything due now.

        There are none while so many are queued that no worker seems to take them.
        """
        orders: list[Order] = []
        for key, entry in self._entries.items():
            if not entry.is_due()[0]:
                continue
            messages: list[Unsent] = []
            definition, meta = self._snapshot.due[key], self._snapshot.metas[key]
            if self._waiting < QUEUE_LIMIT:
                messages = self._messages(entry, definition)
                self._waiting += len(messages)
            else:
                log.warning(
                    "schedule %s skipped: %d tasks are waiting, is a worker running?",
                    entry.name,
                    self._waiting,
                )
            new, former = next(entry), self._polls.pop(key, []) if messages else []
            if short_task_name(entry.task) == FETCH:
                self._polls[key] = messages
            state = key, definition, meta or "", new.meta(), new.score
            orders.append(Order(*state, messages, former))
        return orders

    def _messages(self, entry: entries.Entry, definition: str) -> list[Unsent]:
        """Return the message of a task; None, which is logged, if it can't be encoded."""
        entry.options |= _representations(definition)
        entry.options["headers"] = sent_now(entry.options.get("headers", {}))
        with collected() as messages:
            try:
                self.apply_async(entry, producer=self.producer, advance=False)
            except SchedulingError as error:
                reason = error.__context__
                if isinstance(reason, (RedisError, OperationalError)):
                    raise reason from None
                log.error("schedule %s can't be sent: %s", entry.name, reason)  # noqa: TRY400 - one sentence
        return messages

    def _load(self, key: str, definition: str) -> entries.Entry | None:
        """Load an entry; an unreadable one is dropped."""
        try:
            return self.Entry.decode(definition, self._snapshot.metas[key], self.app)
        except UNREADABLE as error:
            log.warning("entry %s in Redis is unreadable and is rewritten: %r", key, error)
            self._drop(key)
            return None

    def _drop(self, key: str) -> None:
        client = client_of(self.app)
        client.zrem(settings_of(self.app).schedule_key, key)
        client.delete(key, SEEDED_KEY)

    def _follow_the_clock(self) -> None:
        """Derive all due times again when the clock was changed: they may be far in the future."""
        offset = self._clocks.offset()
        if abs(offset - self._clock_offset) > CLOCK_STEP_S:
            log.warning("the clock was changed by %+.0f s", offset - self._clock_offset)
            client_of(self.app).delete(SEEDED_KEY)
        self._clock_offset = offset

    def _reconcile(self) -> None:
        self._look()
        fresh = self._clocks.monotonic() - self._synced_at < RECONCILE_S
        if fresh and self._snapshot.seeded and not self._has_lost_entries():
            return
        if self._synced_at == float("-inf"):
            client_of(self.app).delete(SEEDED_KEY)
        try:
            self._sync()
        except UnavailableError as error:
            log.debug("the timetable is not updated: %s", error)
        else:
            self._synced_at = self._clocks.monotonic()
        # Whether or not it was rewritten, checking may have taken a while.
        self._look()
        self._listed = self._snapshot.seeded, frozenset(self._snapshot.metas)

    def _has_lost_entries(self) -> bool:
        """Whether Redis lists fewer entries than were written, as after it evicted some."""
        seeded, keys = self._listed
        return self._snapshot.seeded == seeded and not keys <= self._snapshot.metas.keys()

    def _look(self) -> None:
        """Send what is due and query what will be, in one round trip."""
        self._snapshot = self._snapshots.share(TURN_S, self._orders())
        loaded = {key: self._load(key, text) for key, text in self._snapshot.due.items()}
        self._entries = {key: entry for key, entry in loaded.items() if entry}
        self._waiting = self._snapshot.waiting


@lru_cache
def _representations(definition: str) -> dict[str, str]:
    """Return the arguments of an entry as Flower shows them, which Celery works out each time."""
    known = json.loads(definition)
    return {
        "argsrepr": saferepr(known["args"], SHOWN_CHARACTERS),
        "kwargsrepr": saferepr(known["kwargs"], SHOWN_CHARACTERS),
    }
