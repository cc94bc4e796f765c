"""Judging readings by what is remembered of their meter."""

import hashlib
import logging
import threading
import uuid
from collections.abc import Collection
from dataclasses import replace

from esquirell.domain.errors import UnavailableError
from esquirell.domain.judgement import Instrument, judge, unjudged
from esquirell.domain.ledger import Ledger
from esquirell.domain.meter import Meter
from esquirell.domain.reading import Reading
from esquirell.services.ports import ReadingStore

log = logging.getLogger(__name__)


class Judging:
    """Keeps the ledgers of the meters: those stored, and those that go on from them here.

    A ledger is stored together with the reading that it follows from, so that neither is there
    without the other; another process that polls the meter next goes on from there.
    """

    def __init__(self, store: ReadingStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, Ledger | None] = {}
        self._writer = uuid.uuid4().hex
        self._failure = ""

    def prepare(self, meters: Collection[str]) -> None:
        """Look up what is stored of `meters`, as another process may have polled them."""
        try:
            stored = self._store.ledgers(meters)
        except UnavailableError as error:
            self._complain(str(error))
            return
        self._failure = ""
        with self._lock:
            for name in meters:
                self._known[name] = _newer(self._known.get(name), stored.get(name))

    def unknown(self, meters: Collection[str]) -> set[str]:
        """Return the meters of which nothing was looked up so far."""
        with self._lock:
            return {name for name in meters if name not in self._known}

    def judge(self, reading: Reading, meter: Meter, keys: Collection[str]) -> Reading:
        """Give what is believed of a reading; `keys` are all that the meter may send.

        While the database could never be asked the counters are held back: without their
        offsets they would seem to jump.
        """
        instrument = Instrument(_source(meter), keys, meter.invert)
        with self._lock:
            if meter.name not in self._known:
                return unjudged(reading, instrument)
            judged, ledger = judge(reading, self._known[meter.name], instrument)
            signed = replace(ledger, writer=self._writer)
            self._known[meter.name] = signed
        return replace(judged, ledger=signed)

    def _complain(self, failure: str) -> None:
        """Log a failure once: the database may be away for long."""
        level = logging.DEBUG if failure == self._failure else logging.WARNING
        log.log(level, "counters can't be looked up: %s", failure)
        self._failure = failure


def _newer(known: Ledger | None, stored: Ledger | None) -> Ledger | None:
    """Choose from which ledger to go on: the stored one, if somebody else has changed it."""
    if stored is None:
        return known
    base = known if known is not None and known.knows(stored) else stored
    return replace(base, based_on=stored.at)


def _source(meter: Meter) -> str:
    """Name the device whose counters these are; turned round it is another one."""
    text = f"{meter.device_id} {meter.invert}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
