"""Publishes readings that the broker missed while it was unreachable."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from esquirell.domain.clock import Clock
from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import MeterStatus, Reading

log = logging.getLogger(__name__)

# Older readings can be read from the database.
LONGEST = timedelta(hours=24)
# A broken connection is noticed up to a minute late: publishing twice is better than never.
SLACK = timedelta(seconds=60)
BATCH = 20
BREATH_S = 0.2
TURN_S = 1.0

_LEAST = timedelta(milliseconds=1)


class BrokerLink(Protocol):
    """The connection to the broker."""

    @property
    def connected(self) -> bool:
        """Return whether it is connected."""

    @property
    def idle(self) -> bool:
        """Return whether nothing waits to be sent."""


class StoredReadings(Protocol):
    """The stored readings."""

    def query(
        self, names: Sequence[str] | None, since: datetime, until: datetime
    ) -> Iterator[Reading]:
        """Stream readings in time order. Raises UnavailableError, also from the iterator."""

    def statuses(self) -> Mapping[str, MeterStatus]:
        """Return the status of every meter, by name. Raises UnavailableError."""


class Replay:
    """Publishes missed readings a few at a time, so that current ones are not delayed."""

    def __init__(
        self,
        link: BrokerLink,
        readings: StoredReadings,
        publish: Callable[[Reading, tuple[str, ...]], None],
        clock: Clock,
    ) -> None:
        self._link = link
        self._readings = readings
        self._publish = publish
        self._clock = clock
        # Everything up to here has been published.
        self._since = clock()
        self._behind = True
        self._found: Iterator[Reading] | None = None
        self._statuses: Mapping[str, MeterStatus] = {}

    def run_once(self) -> float:
        """Publish the next few; return the seconds until the next call."""
        if not self._link.connected:
            self._behind, self._found = True, None
        elif self._behind and self._link.idle:
            return self._catch_up()
        elif not self._behind:
            self._since = self._clock() - SLACK
        return TURN_S

    def _catch_up(self) -> float:
        try:
            found = self._found or self._look_up()
            batch = list(islice(found, BATCH))
        except UnavailableError as error:
            log.debug("missed readings wait for the database: %s", error)
            self._found = None
            return TURN_S
        for reading in batch:
            status = self._statuses.get(reading.meter)
            self._publish(reading, status.keys if status else ())
            self._since = reading.measured_at + _LEAST
        self._behind = len(batch) == BATCH
        self._found = found if self._behind else None
        return BREATH_S

    def _look_up(self) -> Iterator[Reading]:
        now = self._clock()
        self._statuses = self._readings.statuses()
        return self._readings.query(None, max(self._since, now - LONGEST), now)
