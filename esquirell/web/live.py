"""What the meters say now, as the page shows it: fed by this process's polls or from elsewhere.

Readings come from the threads that poll; all they do here is to keep the newest and to wake the
loop, if somebody watches.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from esquirell.domain.quantity import total_of
from esquirell.domain.reading import Reading

# A browser that was closed is noticed late: more than this watch only by mistake.
WATCHERS = 64
CURVE = timedelta(hours=1)
STEP_S = 60
STEPS = int(CURVE.total_seconds()) // STEP_S
# The clocks of two machines may differ by as much; a reading of later is one of a wrong clock.
AHEAD = timedelta(minutes=1)


# A reading, or an event as it is published on the broker.
News = Reading | Mapping[str, Any]
# What only pages are told: something has changed that no reading tells, look again.
LOOK_AGAIN: Mapping[str, Any] = MappingProxyType({})


class Curve:
    """The mean power, in W, of each minute of the last hour."""

    def __init__(self) -> None:
        self._minutes: dict[int, tuple[float, int]] = {}

    def add(self, moment: datetime, power: float) -> None:
        """Take a reading in."""
        minute = int(moment.timestamp()) // STEP_S
        total, count = self._minutes.get(minute, (0.0, 0))
        self._minutes[minute] = (total + power, count + 1)
        if len(self._minutes) > 2 * STEPS:
            self._keep_near(minute)

    def points(self, now: datetime) -> list[float | None]:
        """Return the means from an hour ago until now; None where nothing was measured."""
        last = int(now.timestamp()) // STEP_S
        found = (self._minutes.get(minute) for minute in range(last - STEPS, last + 1))
        return [one[0] / one[1] if one else None for one in found]

    def _keep_near(self, minute: int) -> None:
        """Forget what is more than an hour away: before, or by a clock that was wrong, after."""
        known = self._minutes.items()
        self._minutes = {at: one for at, one in known if abs(at - minute) <= STEPS}


class Live:
    """The newest reading of each meter, and who is to be told of it.

    Each `refresh_s` seconds it is looked up what no reading tells, and what others have stored.
    """

    def __init__(self, refresh_s: float = 20.0) -> None:
        self.refresh_s = refresh_s
        self._lock = threading.Lock()
        self._readings: dict[str, Reading] = {}
        self._curves: dict[str, Curve] = {}
        self._watchers: set[asyncio.Queue[News]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.seeded = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake this loop from now on."""
        self._loop = loop
        self._watchers.clear()

    def take(self, reading: Reading, _keys: tuple[str, ...] = ()) -> None:
        """Take a reading in, from whatever thread; one that is older than the newest is left.

        So is one of the future, as a wrong clock has stored it, where there is another one.
        """
        with self._lock:
            known = self._readings.get(reading.meter)
            latest = datetime.now(UTC) + AHEAD
            is_right = known is not None and known.measured_at <= latest
            if known and is_right and not known.measured_at < reading.measured_at <= latest:
                return
            self._readings[reading.meter] = reading
            self._draw(reading)
        self._wake(reading)

    def note(self, event: Mapping[str, Any]) -> None:
        """Pass an event on, from whatever thread."""
        self._wake(event)

    def seed(self, readings: Iterator[Reading]) -> None:
        """Begin the curves with what was stored."""
        for reading in readings:
            with self._lock:
                self._draw(reading)
        self.seeded = True

    def readings(self) -> Mapping[str, Reading]:
        """Return the newest reading of each meter."""
        with self._lock:
            return dict(self._readings)

    def curve(self, meter: str) -> Sequence[float | None]:
        """Return the power of a meter minute by minute, of the last hour."""
        with self._lock:
            curve = self._curves.get(meter)
            return curve.points(datetime.now(UTC)) if curve else []

    @contextmanager
    def watching(self) -> Iterator["asyncio.Queue[News]"]:
        """Yield a queue of what is new; called in the loop.

        Raises OverflowError when too many watch already.
        """
        if len(self._watchers) >= WATCHERS:
            raise OverflowError
        queue: asyncio.Queue[News] = asyncio.Queue(maxsize=1000)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def _draw(self, reading: Reading) -> None:
        power = total_of(reading.values, "active_power")
        if power is not None:
            self._curves.setdefault(reading.meter, Curve()).add(reading.measured_at, power)

    def _wake(self, news: News) -> None:
        if self._watchers and self._loop is not None:
            # The loop may be ending just now.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._notify, news)

    def _notify(self, news: News) -> None:
        for queue in self._watchers:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(news)
