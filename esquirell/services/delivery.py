"""Delivery of readings: updates statuses, stores and publishes."""

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from esquirell.domain.errors import (
    EsquirellError,
    UnavailableError,
)
from esquirell.domain.meter import Meter
from esquirell.domain.quantity import is_counter
from esquirell.domain.reading import MeterStatus, Outcome, Reading
from esquirell.services.ports import Profiles, Publisher
from esquirell.services.saving import Saver
from esquirell.services.statuses import Statuses

# A report may arrive before an earlier answer.
OVERTAKEN = timedelta(minutes=1)
POLLS = 16
Range = tuple[float, float]
# Hours of every zone begin on a quarter.
QUARTER_S = 900


class Delivery:
    """Stores and publishes the readings of polls and reports.

    `polled` and `reported` have the times of the last stored polls and of the last report of each
    meter.
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
        return self.statuses.after({meter.name: out for meter, out in outcomes.items()}, keys)

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
        """Take in a reading that may not be stored: its values still count for the hour.

        Minimum and maximum since the last stored reading are stored with the next one, as is which
        counters restarted.
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

    def publish(
        self,
        readings: Sequence[Reading],
        statuses: Mapping[str, MeterStatus],
        *,
        reported: bool = False,
    ) -> None:
        """Publish readings and statuses, except those already published or outdated."""
        with self._publisher.together(), self._lock:
            for reading in readings:
                before = self._published.get(reading.meter)
                # Polls that share a read each have its reading.
                if before is reading or (before and _has_overtaken(before, reading)):
                    continue
                self._published[reading.meter] = reading
                self._publisher.reading(reading, statuses[reading.meter].keys)
            for name, status in statuses.items():
                self._publisher.status(name, status, reported=reported)

    def forget(self, meters: Iterable[str]) -> None:
        """Forget meters that are no longer configured: a later one of that name is new."""
        known: Sequence[dict[str, Any]] = (
            self._published,
            self._ranges,
            self._marked,
            self.polled,
            self.reported,
        )
        names = list(meters)
        with self._lock:
            for of_meters in known:
                for name in names:
                    of_meters.pop(name, None)
        self.statuses.forget_meters(names)

    def _profile_keys(self, meter: Meter) -> tuple[str, ...]:
        try:
            return self._profiles.of(meter).keys
        except EsquirellError:
            return ()


def _has_overtaken(newer: Reading, reading: Reading) -> bool:
    # A much older one has the time of another clock.
    return timedelta(0) < newer.measured_at - reading.measured_at <= OVERTAKEN


def _marked(reading: Reading, before: Reading) -> Reading:
    """Return a reading with the counter restarts of an earlier one that is not stored."""
    return replace(
        reading,
        begins=before.begins | reading.begins,
        retracted={**before.retracted, **reading.retracted},
    )


@dataclass(slots=True)
class Ranges:
    """The values of one meter that are not stored, as far as stored ones don't show them.

    Within a quarter of an hour a range has to be stored only where it is wider than what stored
    readings of that quarter have, or had with them: of a minute's values few are.
    """

    _seen: dict[str, Range] = field(default_factory=dict)
    _stored: dict[str, Range] = field(default_factory=dict)
    _quarter: float = 0.0

    def see(self, values: Mapping[str, float]) -> None:
        """Take in values that may not be stored."""
        _widen(self._seen, values)

    def take(self, values: Mapping[str, float], at: float) -> dict[str, Range]:
        """Return what is to be stored with a reading of `at` (unix time); it is not kept then."""
        if at // QUARTER_S != self._quarter:
            self._quarter = at // QUARTER_S
            self._stored = {}
        _widen(self._stored, values)
        wider = {
            key: seen for key, seen in self._seen.items() if not _holds(self._stored.get(key), seen)
        }
        for key, (least, greatest) in wider.items():
            _widen(self._stored, {key: least})
            _widen(self._stored, {key: greatest})
        self._seen = {}
        return wider


def _widen(ranges: dict[str, Range], values: Mapping[str, float]) -> None:
    for key, value in values.items():
        known = ranges.get(key)
        if known is None:
            if not is_counter(key):
                ranges[key] = value, value
        elif value < known[0]:
            ranges[key] = value, known[1]
        elif value > known[1]:
            ranges[key] = known[0], value


def _holds(known: Range | None, seen: Range) -> bool:
    return known is not None and known[0] <= seen[0] and seen[1] <= known[1]
