"""Judges readings by the ledger of their meter."""

import hashlib
import logging
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache

from esquirell.domain.device import Instrument
from esquirell.domain.errors import UnavailableError, UnreadableError
from esquirell.domain.integration import together
from esquirell.domain.inversion import Invert
from esquirell.domain.judgement import judge, unjudged
from esquirell.domain.meter import Meter
from esquirell.domain.reading import Ledger, Reading
from esquirell.domain.undated import Undated
from esquirell.services.ports import ReadingStore
from esquirell.services.timekeeping import Newest, Timekeeper

log = logging.getLogger(__name__)

# While the clock is wrong the time since the last reading is unknown: for a counter it may have
# been long, and nothing is estimated for that time.
_UNKNOWN = timedelta(days=3)
# The ledger names of this many devices are cached.
_METERS = 2048


def _no_reading() -> None:
    """Start without any reading."""


class Ledgers:
    """Keeps the ledgers of the meters: the stored ones, and how they continue in this process.

    A ledger is stored together with the reading that it results from, so that neither exists
    without the other; another process that polls the meter next continues from there.
    """

    def __init__(
        self,
        store: ReadingStore,
        timekeeper: Timekeeper | None = None,
        newest: Newest = _no_reading,
    ) -> None:
        self._store = store
        self._timekeeper = timekeeper
        self._newest = newest
        self._lock = threading.Lock()
        self._known: dict[str, Ledger | None] = {}
        # Ledgers that result from readings without a time, with the machine's time then.
        self._provisional: dict[str, tuple[Ledger, float]] = {}
        # What meters added while the database was unreachable.
        self._unbooked: dict[str, Mapping[str, float]] = {}
        self._writer = uuid.uuid4().hex
        # What could not be looked up, and why.
        self._missed: Collection[str] = ()
        self._failure = ""
        self._damaged: set[str] = set()

    @property
    def problem(self) -> str:
        """Return why counters are not known; empty when they are."""
        return f"counters can't be looked up: {self._failure}" if self._failure else ""

    def retry(self) -> None:
        """Look up again what could not be looked up: the next poll may be far away."""
        if self._failure:
            self.prepare(self._missed)

    def prepare(self, meters: Collection[str]) -> bool:
        """Look up the stored ledgers of `meters`, as another process may have polled them.

        Returns whether that succeeded; a meter whose ledger is damaged is left out.
        """
        return self._take_up(meters, lambda: self._store.ledgers(meters))

    def begin(self, meters: Collection[str]) -> Callable[[], bool]:
        """Begin to `prepare` meters while they are read; return a function that waits for it.

        New meters are prepared at once: a report may come before the answer.
        """
        if self.unknown(meters):
            is_done = self.prepare(meters)
            return lambda: is_done
        try:
            found = self._store.look_up(meters)
        except UnavailableError:
            return lambda: self.prepare(meters)
        return lambda: self._take_up(meters, found)

    def _take_up(self, meters: Collection[str], found: Callable[[], dict[str, Ledger]]) -> bool:
        try:
            stored = found()
        except UnreadableError as error:
            if error.meter not in self._damaged:
                log.error("%s", error)  # noqa: TRY400 - one sentence
            self._damaged.add(error.meter)
            others = [name for name in meters if name != error.meter]
            # Whatever else is wrong, the database answers.
            self._failure = ""
            return not others or self.prepare(others)
        except UnavailableError as error:
            self._missed = meters
            self._complain(str(error), meters)
            return False
        self._failure = ""
        with self._lock:
            self._damaged.difference_update(meters)
            for name in meters:
                self._known[name] = _newer(self._known.get(name), stored.get(name))
        return True

    def forget(self, meters: Iterable[str]) -> None:
        """Forget the ledgers of meters: for a later meter of that name only stored data count."""
        with self._lock:
            for name in meters:
                self._known.pop(name, None)
                self._provisional.pop(name, None)
                self._unbooked.pop(name, None)

    def unknown(self, meters: Collection[str]) -> set[str]:
        """Return the meters whose ledgers were not looked up so far."""
        with self._lock:
            return {name for name in meters if name not in self._known}

    def judge(
        self, reading: Reading, meter: Meter, keys: Collection[str], adds: Collection[str] = ()
    ) -> Reading:
        """Judge a reading; `keys` are all that the meter may send.

        `adds` are the counters that it adds to by its reports. Until the ledgers were looked up
        once, counters are held back: without their offsets they would seem to jump. While the clock
        is doubted the reading is judged as far as possible without a time, and again later.
        """
        source = source_of(meter.device_id, meter.invert)
        instrument = Instrument(source, keys, meter.invert, adds)
        if self._timekeeper and not self._timekeeper.trusts(reading.measured_at, self._newest):
            return self._judge_undated(reading, instrument, self._timekeeper)
        with self._lock:
            return self._judge(reading, instrument)

    def judge_dated(self, reading: Reading) -> Reading:
        """Judge a reading whose time was found."""
        assert reading.undated is not None  # noqa: S101 - for the type checker
        with self._lock:
            return self._judge(replace(reading, undated=None), reading.undated.instrument)

    def _judge(self, reading: Reading, instrument: Instrument) -> Reading:
        self._provisional.pop(reading.meter, None)
        if waiting := self._unbooked.pop(reading.meter, None):
            reading = replace(reading, increments=together(waiting, reading.increments))
        if reading.meter not in self._known:
            if reading.increments:
                self._unbooked[reading.meter] = reading.increments
            return unjudged(reading, instrument)
        known = self._known[reading.meter]
        judged, self._known[reading.meter] = judge(reading, known, instrument, self._writer)
        return judged

    def _judge_undated(
        self, reading: Reading, instrument: Instrument, timekeeper: Timekeeper
    ) -> Reading:
        present = timekeeper.present(reading.measured_at)
        undated = Undated(present.boot, present.uptime_s, reading.values, instrument)
        with self._lock:
            known = self._known.get(reading.meter)
            if reading.meter not in self._known:
                return replace(unjudged(reading, instrument), undated=undated)
            at = known.at + _UNKNOWN if known else reading.measured_at
            if before := self._provisional.get(reading.meter):
                known = before[0]
                at = known.at + timedelta(seconds=present.uptime_s - before[1])
            judged, ledger = judge(replace(reading, measured_at=at), known, instrument)
            self._provisional[reading.meter] = ledger, present.uptime_s
        return replace(judged, measured_at=reading.measured_at, ledger=None, undated=undated)

    def _complain(self, failure: str, meters: Collection[str]) -> None:
        """Log a failure once, and only if counters are held back: storing names it as well."""
        level = logging.WARNING if not self._failure and self.unknown(meters) else logging.DEBUG
        self._failure = failure
        log.log(level, "%s", self.problem)


def _newer(known: Ledger | None, stored: Ledger | None) -> Ledger | None:
    """Return the ledger to continue from: the stored one if another process has changed it."""
    if stored is None:
        return known
    base = known if known is not None and known.knows(stored) else stored
    return base if base.based_on == stored.at else replace(base, based_on=stored.at)


@lru_cache(_METERS)
def source_of(device_id: str, invert: Invert) -> str:
    """Return the name of the device whose counters these are; inverted it is another one."""
    text = f"{device_id} {invert}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
