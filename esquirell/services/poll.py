"""One way through: ask the meters, decode, judge, store, publish."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.errors import EsquirellError, MeterUnreachableError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.outcome import Outcome
from esquirell.domain.reading import Reading
from esquirell.domain.status import MeterStatus
from esquirell.services.flights import Flights
from esquirell.services.judging import Judging
from esquirell.services.landing import Landing
from esquirell.services.one_core import OneCore
from esquirell.services.ports import Profiles, Publisher, Transport, Wanted
from esquirell.services.sample import Sample
from esquirell.services.saving import Saver
from esquirell.services.statuses import Statuses

log = logging.getLogger(__name__)

STOPPING = UnavailableError("the service is being stopped")
POLL_LIMIT_S = 30.0
GRACE_S = 3.0
THREADS = 128


@dataclass(frozen=True, slots=True)
class Wish:
    """How to poll: `join` waits for a read that is under way, `forced` ignores a cool-down."""

    save: bool = True
    publish: bool = True
    join: bool = True
    forced: bool = False


SCHEDULED = Wish(join=False)
ON_DEMAND = Wish(forced=True)
TRIAL = Wish(save=False, publish=False, forced=True)


class Poller:
    """Polls meters side by side; a slow or dead one delays no other."""

    def __init__(
        self,
        transport: Transport,
        profiles: Profiles,
        saver: Saver,
        publisher: Publisher,
        clock: Clock,
        threads: int = THREADS,
    ) -> None:
        self._transport = transport
        self._profiles = profiles
        self._publisher = publisher
        self._clock = clock
        self._saver = saver
        self._judging = Judging(saver.store)
        self._stopping = threading.Event()
        self._core = OneCore()
        self.flights = Flights(self._read, time.monotonic, threads)
        self.statuses = Statuses(saver.store)

    def poll(
        self, meters: Sequence[Meter], wish: Wish = SCHEDULED, wanted: Wanted = lambda: None
    ) -> dict[str, Outcome]:
        """Read `meters`, store and publish each reading as it comes; give what came of each.

        A meter that is being read already is left out, unless the wish is to join. Raises what
        `wanted` raises: the readings that came before are stored, later ones are not.
        """
        if self._stopping.is_set():
            return dict.fromkeys((meter.name for meter in meters), Outcome(error=STOPPING))
        with self._core.lead():
            return self._poll(meters, wish, wanted)

    def _poll(self, meters: Sequence[Meter], wish: Wish, wanted: Wanted) -> dict[str, Outcome]:
        self._judging.prepare([meter.name for meter in meters])
        flying, started = self._start(meters, wish)
        outcomes: dict[str, Outcome] = {}
        for landed in Landing(flying).batches(POLL_LIMIT_S, wanted):
            batch = {flying[future]: _outcome(future) for future in landed}
            # The failure of a read that others share is counted by who started it.
            news = {one: out for one, out in batch.items() if one.name in started or out.reading}
            told = {one.name: out for one, out in batch.items() if one not in news}
            outcomes |= told | self._deliver(news, wish)
        return outcomes

    def missed(self, errors: Mapping[Meter, EsquirellError], wish: Wish) -> dict[str, Outcome]:
        """Count a failed poll of meters that could not even be asked; give what came of each."""
        return self._deliver({one: Outcome(error=error) for one, error in errors.items()}, wish)

    @property
    def waiting(self) -> int:
        """Count the readings that wait for the database."""
        return self._saver.waiting

    def keys_of(self, meter: Meter) -> tuple[str, ...]:
        """Give all quantity keys of a meter: its profile's and any seen so far."""
        seen = self.statuses.of(meter.name).keys
        return tuple(dict.fromkeys([*seen, *self._profiles.of(meter).keys]))

    def stop(self) -> None:
        """Start no further read; those under way get a moment, then their lines are cut."""
        self._stopping.set()
        cut = threading.Timer(GRACE_S, self._transport.close)
        cut.daemon = True
        cut.start()

    def close(self) -> None:
        """Cut all lines and try a last time to store what waits for the database."""
        self._transport.close()
        self.flights.close()
        self.store_waiting()

    def store_waiting(self) -> None:
        """Store what waits for the database, also from before this process."""
        if self._saver.waiting:
            self._saver.save((), {})

    def _start(
        self, meters: Sequence[Meter], wish: Wish
    ) -> tuple[dict[Future[Sample], Meter], set[str]]:
        """Start the reads, or join those under way; tell which ones were started."""
        flying: dict[Future[Sample], Meter] = {}
        started: set[str] = set()
        # One that is away keeps a thread until its time is up: those that answer go first.
        for meter in sorted(meters, key=lambda one: self.statuses.of(one.name).failures > 0):
            if not wish.join and self.flights.has(meter.name):
                continue
            future, is_ours = self.flights.join(meter, forced=wish.forced)
            flying[future] = meter
            started |= {meter.name} if is_ours else set()
        return flying, started

    def _read(self, meter: Meter, *, forced: bool) -> Sample:
        self._core.follow()
        refresh = self._profiles.of(meter).refresh
        dps = self._transport.read(meter, refresh, forced=forced)
        moment = self._clock()
        return Sample(lambda: self._understood(meter, dps, moment))

    def _understood(self, meter: Meter, dps: Mapping[str, Any], moment: datetime) -> Reading:
        decoded = self._profiles.decode(meter, dps)
        reading = Reading(
            meter.name,
            moment,
            decoded.values,
            decoded.diagnostics,
            decoded.warnings,
            decoded.hints,
        )
        return self._judging.judge(reading, meter, self._profiles.of(meter).keys)

    def _deliver(self, batch: Mapping[Meter, Outcome], wish: Wish) -> dict[str, Outcome]:
        outcomes = {meter.name: outcome for meter, outcome in batch.items()}
        if not batch or not (wish.save or wish.publish):
            return outcomes
        keys = {meter.name: self._profile_keys(meter) for meter in batch}
        # A read that was cut off because this process ends says nothing about its meter.
        counted = {
            name: one for name, one in outcomes.items() if one.ok or not self._stopping.is_set()
        }
        statuses = self.statuses.after(counted, keys)
        readings = [outcome.reading for outcome in outcomes.values() if outcome.reading]
        error = self._saver.save(readings, statuses) if wish.save else None
        if wish.publish:
            self._publish(readings, statuses)
        return {name: _stored(outcome, error) for name, outcome in outcomes.items()}

    def _profile_keys(self, meter: Meter) -> tuple[str, ...]:
        try:
            return self._profiles.of(meter).keys
        except EsquirellError:
            return ()

    def _publish(self, readings: list[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        for reading in readings:
            self._publisher.reading(reading, statuses[reading.meter].keys)
        for name, status in statuses.items():
            self._publisher.status(name, status)


def _outcome(future: Future[Sample]) -> Outcome:
    try:
        return Outcome(reading=future.result(timeout=0).reading())
    except EsquirellError as error:
        return Outcome(error=error)
    except (TimeoutError, CancelledError):
        sentence = f"the read did not end within {POLL_LIMIT_S:.0f} s"
        return Outcome(error=MeterUnreachableError("no_data", sentence))
    except Exception as error:  # the border: a fault with one meter must not cost the others
        log.exception("a read failed in an unforeseen way")
        return Outcome(error=EsquirellError(f"unforeseen fault: {type(error).__name__}"))


def _stored(outcome: Outcome, error: UnavailableError | None) -> Outcome:
    return Outcome(outcome.reading, error) if error and outcome.ok else outcome
