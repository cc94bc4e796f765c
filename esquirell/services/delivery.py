"""What becomes of readings: statuses follow them, they are stored and published."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.outcome import Outcome
from esquirell.domain.ranges import Ranges
from esquirell.domain.reading import Reading
from esquirell.domain.status import MeterStatus
from esquirell.services.ports import Profiles, Publisher
from esquirell.services.saving import Saver
from esquirell.services.statuses import Statuses

# A report may overtake the answer to a question.
OVERTAKEN = timedelta(minutes=1)
POLLS = 16


class Delivery:
    """Stores and publishes readings, whoever brings them.

    `polled` and `reported` say of when the last stored readings of polls and the last report of
    each meter are.
    """

    def __init__(self, profiles: Profiles, saver: Saver, publisher: Publisher) -> None:
        self.saver = saver
        self.statuses = Statuses(saver.store)
        self._profiles = profiles
        self._publisher = publisher
        self._lock = threading.Lock()
        self._published: dict[str, Reading] = {}
        self._ranges: dict[str, Ranges] = {}
        self._marked: dict[str, Reading] = {}
        self.polled: dict[str, deque[datetime]] = {}
        self.reported: dict[str, datetime] = {}

    def follow(self, outcomes: Mapping[Meter, Outcome]) -> dict[str, MeterStatus]:
        """Return the statuses of the meters after these outcomes."""
        keys = {meter.name: self._profile_keys(meter) for meter in outcomes}
        return self.statuses.after({one.name: out for one, out in outcomes.items()}, keys)

    def save(
        self,
        readings: Sequence[Reading],
        statuses: Mapping[str, MeterStatus],
        *,
        polled: bool = False,
    ) -> UnavailableError | None:
        """Store readings and statuses; return the error while the database is unreachable."""
        if polled:
            for reading in readings:
                polls = self.polled.setdefault(reading.meter, deque(maxlen=POLLS))
                polls.append(reading.measured_at)
        return self.saver.save([self._with_ranges(reading) for reading in readings], statuses)

    def see(self, reading: Reading) -> None:
        """Take in a reading that may not be stored: its hour has to know its values all the same.

        Least and greatest since the last stored reading are stored with the next one, and so is
        which counters started again.
        """
        with self._lock:
            self._ranges.setdefault(reading.meter, Ranges()).see(reading.values)
            if reading.begins or reading.retracted:
                before = self._marked.get(reading.meter)
                self._marked[reading.meter] = _marked(reading, before) if before else reading

    def _with_ranges(self, reading: Reading) -> Reading:
        with self._lock:
            if marked := self._marked.pop(reading.meter, None):
                reading = _marked(reading, marked)
            ranges = self._ranges.get(reading.meter)
            if ranges is None:
                return reading
            wider = ranges.take(reading.values, reading.measured_at.timestamp())
        return replace(reading, ranges=wider) if wider else reading

    def publish(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Publish readings and statuses; what was published, or overtaken, is left out."""
        with self._lock:
            for reading in readings:
                before = self._published.get(reading.meter)
                # Polls that share a read each bring its reading.
                if before is reading or (before and _has_overtaken(before, reading)):
                    continue
                self._published[reading.meter] = reading
                self._publisher.reading(reading, statuses[reading.meter].keys)
            for name, status in statuses.items():
                self._publisher.status(name, status)

    def _profile_keys(self, meter: Meter) -> tuple[str, ...]:
        try:
            return self._profiles.of(meter).keys
        except EsquirellError:
            return ()


def _has_overtaken(newer: Reading, reading: Reading) -> bool:
    # One that is much older was stamped by another clock.
    return timedelta(0) < newer.measured_at - reading.measured_at <= OVERTAKEN


def _marked(reading: Reading, before: Reading) -> Reading:
    """Return a reading that says what an earlier one, which is not stored, said of its counters."""
    return replace(
        reading,
        begins=before.begins | reading.begins,
        retracted={**before.retracted, **reading.retracted},
    )
