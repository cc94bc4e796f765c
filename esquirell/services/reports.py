"""Readings that meters report by themselves: published at once, stored now and then."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import RawDatapoints
from esquirell.domain.reading import Outcome, Reading
from esquirell.domain.record import record
from esquirell.services.delivery import Delivery
from esquirell.services.ledgers import Ledgers
from esquirell.services.ports import Publisher
from esquirell.services.reads import Intake, RawAnswer

log = logging.getLogger(__name__)

WAIT_S = 15.0
STORE_EVERY_S = 1.0
# The thread that stores reports is woken when one is kept.
STORE_REST_S = 60.0
LOOK_UP_S = 10.0


@record
class _Pending:
    """A meter's last reported reading in its period, not stored yet."""

    meter: Meter
    reading: Reading
    period: float


class Reports:
    """Takes reports from the devices' thread, and handles them in threads of its own.

    Of each meter's reports the last one in each period of `store_every` seconds is stored,
    unless a poll was stored in the same period.
    """

    def __init__(
        self,
        intake: Intake,
        ledgers: Ledgers,
        delivery: Delivery,
        publisher: Publisher,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._intake = intake
        self._ledgers = ledgers
        self._delivery = delivery
        self._publisher = publisher
        self._clock = clock
        self._new: deque[RawAnswer] = deque()
        self._some = threading.Event()
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._ready: list[Reading] = []
        self._looked_up: dict[str, float] = {}
        self.on_kept: Callable[[], None] = lambda: None

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        """Accept the state of a meter that sent a report; this never waits."""
        answer = RawAnswer(meter, self._clock(), heard)
        self._intake.put(answer)
        self._new.append(answer)
        self._some.set()

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Publish an event of a line."""
        self._publisher.event(kind, data)

    def run_once(self) -> float:
        """Publish reports as soon as they arrive; return the seconds until the next round."""
        if self._some.wait(WAIT_S):
            self._some.clear()
            self._publish(self._taken())
        return 0.0

    def hurry(self) -> None:
        """End a round that is waiting."""
        self._some.set()

    def store_due(self) -> float:
        """Store what is due, of all meters in one transaction; return the seconds to wait.

        Also publishes readings held back for a period that has ended. While nothing is pending the
        wait is long: `on_kept` is called when something is.
        """
        holds = self._publisher.publish_due()
        self._store(self._due(self._clock()))
        return STORE_EVERY_S if holds or self._pending else STORE_REST_S

    def close(self) -> None:
        """Publish the latest reports, and store all that were not stored, as the process ends.

        Lines receive reports until they are closed, after the last round.
        """
        self._publish(self._taken())
        self.flush()

    def flush(self) -> None:
        """Store everything published but not stored."""
        with self._lock:
            pending = [
                pending.reading
                for pending in self._pending.values()
                if not pending.reading.increments
            ]
            due = [*self._ready, *pending]
            self._pending.clear()
            self._ready.clear()
        self._store(due)

    def _taken(self) -> list[RawAnswer]:
        """Remove and return the answers that arrived."""
        answers = []
        with suppress(IndexError):
            while True:
                answers.append(self._new.popleft())
        return answers

    def _publish(self, answers: list[RawAnswer]) -> None:
        self._look_up({answer.meter.name for answer in answers})
        self._intake.understand()
        outcomes: dict[Meter, Outcome] = {}
        taken: list[Reading] = []
        for answer in answers:
            outcome = answer.outcome
            if outcome is None or outcome.reading is None:
                log.debug("%s reported no measurements", answer.meter.name)
                continue
            outcomes[answer.meter] = outcome
            taken.append(outcome.reading)
            self._delivery.see(outcome.reading)
            self._keep(answer.meter, outcome.reading)
        readings = [outcome.reading for outcome in outcomes.values() if outcome.reading]
        statuses = self._delivery.follow(outcomes)
        # An increment is reported only once: it must be safe before it is published.
        self._store([reading for reading in taken if reading.increments])
        self._delivery.publish(readings, statuses, reported=True)

    def _look_up(self, meters: set[str]) -> None:
        """Look up the ledgers of meters that report for the first time, at intervals."""
        now = self._monotonic()
        unknown = {
            name
            for name in self._ledgers.unknown(meters)
            if now - self._looked_up.get(name, -LOOK_UP_S) >= LOOK_UP_S
        }
        if unknown:
            self._looked_up |= dict.fromkeys(unknown, now)
            self._ledgers.prepare(unknown)

    def _keep(self, meter: Meter, reading: Reading) -> None:
        """Keep a reading, to be stored if it is the last of its period."""
        period = _period(reading.measured_at, meter)
        with self._lock:
            self._delivery.reported[meter.name] = reading.measured_at
            before = self._pending.get(meter.name)
            if before and before.period != period and not self._is_stored(before):
                self._ready.append(before.reading)
            is_first = not self._pending
            self._pending[meter.name] = _Pending(meter, reading, period)
        if is_first:
            self.on_kept()

    def _due(self, now: datetime) -> list[Reading]:
        with self._lock:
            over = [
                pending
                for pending in self._pending.values()
                if _period(now, pending.meter) != pending.period
            ]
            for pending in over:
                del self._pending[pending.meter.name]
                if not self._is_stored(pending):
                    self._ready.append(pending.reading)
            due, self._ready = self._ready, []
        return due

    def _is_stored(self, pending: _Pending) -> bool:
        """Whether a reading need not be stored: it is, or another one of its period is.

        Increments are stored at once, and must keep their time even if the clock is set.
        """
        if pending.reading.increments:
            return True
        polls = tuple(self._delivery.polled.get(pending.meter.name, ()))
        return any(_period(poll, pending.meter) == pending.period for poll in polls)

    def _store(self, readings: list[Reading]) -> None:
        if readings:
            names = {reading.meter for reading in readings}
            statuses = {name: self._delivery.statuses.of(name) for name in names}
            self._delivery.save(readings, statuses)


def _period(moment: datetime, meter: Meter) -> float:
    return moment.timestamp() // (meter.store_every or 0.001)
