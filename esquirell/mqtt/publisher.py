"""Readings, availability and events, as they are published."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from esquirell.domain.payload import parse_json
from esquirell.domain.reading import (
    MeterStatus,
    Reading,
    iso,
    measured_at,
    outlasting,
    payload,
)
from esquirell.mqtt.client import Connection
from esquirell.mqtt.topics import Topics

log = logging.getLogger(__name__)

REMEMBERED = 4096
# A mere new success, which readings show as well, is published at most twice in nine seconds: of
# polls every five seconds, which are uneven, none is left out.
SUCCESSES = 2
DOUBTS_EVERY = timedelta(minutes=10)
SUCCESSES_S = 9.0
# After a report even less often: its reading is published at the same time.
REPORTED_S = 60.0


class MqttPublisher:
    """Publishes what the services report; never blocks and never fails.

    `publish_every` returns the seconds for a meter: the newest reading of each such period is
    published at its end; at 0 every reading is published at once.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        publish_every: Callable[[str], int],
        clock: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._state_topic = lru_cache(REMEMBERED)(topics.meter_state)
        self._publish_every = publish_every
        self._clock = clock
        self._lock = threading.Lock()
        # The newest reading of an unfinished period, and its keys.
        self._held: dict[str, tuple[float, Reading, tuple[str, ...]]] = {}
        # The last answers of the meters that were published as offline since.
        self._offline: dict[str, datetime | None] = {}
        self._costs: set[str] = set()
        self._doubted_at: dict[str, datetime | None] = {}
        self._statuses: dict[str, tuple[object, ...]] = {}
        self._published_at: dict[str, deque[datetime]] = {}
        self._watchers: list[Callable[[Reading, tuple[str, ...]], None]] = []
        self._listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self.on_held: Callable[[], None] = lambda: None

    def on_reading(self, watcher: Callable[[Reading, tuple[str, ...]], None]) -> None:
        """Call `watcher` with each reading and its keys, also unpublished ones."""
        self._watchers.append(watcher)

    def on_event(self, listener: Callable[[Mapping[str, Any]], None]) -> None:
        """Call `listener` with each published event."""
        self._listeners.append(listener)

    def reading(self, reading: Reading, keys: tuple[str, ...]) -> None:
        """Publish a reading in the full shape of `keys`, now or at the end of its period."""
        for watcher in self._watchers:
            watcher(reading, keys)
        self._report_doubts(reading)
        meter = reading.meter
        every_s = self._publish_every(meter)
        with self._lock:
            if not every_s:
                self._held.pop(meter, None)
                self._publish(reading, keys)
                return
            period = reading.measured_at.timestamp() // every_s
            held = self._held.get(meter)
            if held is not None and held[0] != period:
                self._publish_held(meter)
            is_first = not self._held
            self._held[meter] = period, reading, keys
        if is_first:
            self.on_held()

    def together(self) -> AbstractContextManager[None]:
        """Send what is published meanwhile in one go, at the end."""
        return self._connection.together()

    def publish_due(self) -> bool:
        """Publish what was held back for a period that is over; return whether more is held back.

        `on_held` is called when something is that was not.
        """
        now = self._clock()
        with self.together(), self._lock:
            for meter, (period, _, _) in list(self._held.items()):
                if period != self._period(meter, now):
                    self._publish_held(meter)
            return bool(self._held)

    def publish_held(self) -> None:
        """Publish everything held back: the process ends."""
        with self._lock:
            for meter in list(self._held):
                self._publish_held(meter)

    def _publish_held(self, meter: str) -> None:
        _, reading, keys = self._held.pop(meter)
        self._publish(reading, keys)

    def _publish(self, reading: Reading, keys: tuple[str, ...]) -> None:
        self._retain(self._state_topic(reading.meter), payload(reading, keys))

    def status(self, meter: str, status: MeterStatus, *, reported: bool = False) -> None:
        """Publish the availability of a meter, which may follow from what it reported."""
        self.availability(meter, status, self.state_of(meter, status), reported=reported)

    def state_of(self, meter: str, status: MeterStatus) -> Literal["online", "offline"]:
        """Return the state of a meter: one that was published as offline has to answer first."""
        waits = self._offline.get(meter) == status.last_success
        return "offline" if waits else status.state

    def withdraw(self, meter: str, elsewhere: bytes, hold_s: float) -> None:
        """Reduce the state of an offline meter to its counters, once other values no longer hold.

        `elsewhere` is the state that others have published; what is held back or was published
        here is newer.
        """
        topic = self._state_topic(meter)
        with self._lock:
            held = self._held.get(meter)
            published = self._connection.retained(topic) or elsewhere
            state = payload(*held[1:]) if held else _state_in(published)
            moment = measured_at(state)
            if moment is None or abs(self._clock() - moment).total_seconds() <= hold_s:
                return
            self._held.pop(meter, None)
            if (left := outlasting(state)) != state:
                self._retain(topic, left)

    def availability(
        self, meter: str, status: MeterStatus, state: str, *, reported: bool = False
    ) -> None:
        """Publish a meter as `state`, whatever its polls say.

        Sent when something changed; a mere new success at the pace of the readings, every few
        seconds at most, or every minute if it was reported.
        """
        if state == "offline":
            self._offline[meter] = status.last_success
        else:
            self._offline.pop(meter, None)
        period = self._period(meter, status.last_success) if status.last_success else None
        before = self._statuses.get(meter)
        now = state, status.reason, status.failures, period
        only_read = before is not None and before[:-1] == now[:-1]
        if before == now or (only_read and self._published_enough(meter, status, reported)):
            return
        self._statuses[meter] = now
        self._published_at.setdefault(meter, deque(maxlen=SUCCESSES)).append(self._moment(status))
        shape = status.payload() | {"state": state}
        self._retain(self._topics.meter_availability(meter), shape)

    def missed(self, reading: Reading, keys: tuple[str, ...]) -> None:
        """Publish a reading that the broker missed, not retained, in the shape of its state."""
        topic = self._topics.meter_history(reading.meter)
        self._connection.publish(topic, payload(reading, keys))

    def forget(self, meter: str) -> None:
        """Forget what was published about a removed meter."""
        with self._lock:
            self._held.pop(meter, None)
        for known in (self._statuses, self._published_at, self._doubted_at, self._offline):
            known.pop(meter, None)
        self._costs.discard(meter)

    def cost(self, meter: str, shape: Mapping[str, object] | None) -> None:
        """Publish what a meter has cost; None, for a meter without a tariff, clears the topic."""
        if shape is not None or meter in self._costs:
            self._retain(self._topics.meter_cost(meter), shape)
            self._costs.add(meter)

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Publish that something happened."""
        event = {"type": kind, "at": iso(self._clock()), "data": dict(data)}
        for listener in self._listeners:
            listener(event)
        try:
            self._connection.publish(self._topics.bridge_event, event)
        except (TypeError, ValueError):
            log.exception("event %s could not be published", kind)

    def _report_doubts(self, reading: Reading) -> None:
        """Publish an event for newly doubted values: not at each reading, and not at a start."""
        seen_before = reading.meter in self._doubted_at
        before = self._doubted_at.setdefault(reading.meter, None)
        if not reading.doubts:
            return
        self._doubted_at[reading.meter] = reading.measured_at
        quiet = before is None or abs(reading.measured_at - before) > DOUBTS_EVERY
        if seen_before and quiet:
            data = {"meter": reading.meter, "warnings": list(reading.doubts)}
            self.event("meter_doubt", data)

    def _published_enough(self, meter: str, status: MeterStatus, reported: bool) -> bool:
        """Return whether enough was published about a meter just now."""
        # The bridge, in another thread, may have forgotten the meter meanwhile.
        times = tuple(self._published_at.get(meter, ()))
        if len(times) < SUCCESSES and not (reported and times):
            return False
        since, pace_s = (times[-1], REPORTED_S) if reported else (times[0], SUCCESSES_S)
        return abs((self._moment(status) - since).total_seconds()) < pace_s

    def _moment(self, status: MeterStatus) -> datetime:
        return max(self._clock(), status.last_success or self._clock())

    def _period(self, meter: str, moment: datetime) -> float:
        """Return the number of the period: counted by the clock, as polls are uneven."""
        return moment.timestamp() // (self._publish_every(meter) or 0.001)

    def _retain(self, topic: str, shape: Mapping[str, object] | None) -> None:
        try:
            self._connection.retain(topic, shape)
        except (TypeError, ValueError):
            log.exception("%s could not be published", topic)


def _state_in(published: bytes) -> dict[str, Any]:
    """Parse a state published by anyone; an empty one if it is invalid."""
    try:
        state = parse_json(published.decode())
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}
