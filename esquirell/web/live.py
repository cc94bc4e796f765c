"""The current values of the meters, from this process's polls or from elsewhere.

Readings come from the polling threads; all that happens there is to keep the newest, and to
wake the loop if a browser is watching.
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

# Closed browsers are detected late, which this many watchers allow for.
WATCHERS = 64
CURVE = timedelta(hours=1)
STEP_S = 60
STEPS = int(CURVE.total_seconds()) // STEP_S
# The clocks of two machines may differ by this much; a later reading has a wrong time.
AHEAD = timedelta(minutes=1)


# A reading, or an event as published over MQTT.
News = Reading | Mapping[str, Any]
# For pages only: something other than a reading has changed, so look again.
LOOK_AGAIN: Mapping[str, Any] = MappingProxyType({})


class Curve:
    """The mean power, in W, of each minute of the last hour."""

    def __init__(self) -> None:
        self._minutes: dict[int, tuple[float, int]] = {}

    def add(self, moment: datetime, power: float) -> None:
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
        """Forget minutes over an hour away: in the past or, after a wrong clock, in the future."""
        known = self._minutes.items()
        self._minutes = {at: one for at, one in known if abs(at - minute) <= STEPS}


class Live:
    """The newest reading of each meter, and the browsers that watch it.

    Every `refresh_s` seconds, what readings don't contain or others have stored is looked up.
    """

    def __init__(self, refresh_s: float = 20.0) -> None:
        self.refresh_s = refresh_s
        self._lock = threading.Lock()
        self._readings: dict[str, Reading] = {}
        # Of when the newest stored ones were at the last look.
        self._stored: dict[str, datetime] = {}
        self._curves: dict[str, Curve] = {}
        self._watchers: set[asyncio.Queue[News]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.seeded = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake this loop from now on."""
        self._loop = loop
        self._watchers.clear()

    def take(self, reading: Reading, _keys: tuple[str, ...] = ()) -> None:
        """Take a reading in as it is made, from whatever thread; an older one is left.

        One that seems to be of the future counts: the clock of the machine that polls may be ahead
        of this one's. It gives way to any other, as that clock may have been set right.
        """
        with self._lock:
            known = self._readings.get(reading.meter)
            if known and known.measured_at >= reading.measured_at and not _is_ahead(known):
                return
            self._show(reading)
        self._wake(reading)

    def take_stored(self, reading: Reading) -> None:
        """Take the newest reading in that is stored; one that is not newer is left.

        So is one of the future where there is another, unless it was stored since the last look:
        a wrong clock may have dated it long ago. It stays until it is no longer the stored one.
        """
        with self._lock:
            known, before = self._readings.get(reading.meter), self._stored.get(reading.meter)
            self._stored[reading.meter] = moment = reading.measured_at
            if known is None or known.measured_at < moment:
                is_due = known is None or not _is_ahead(reading) or bool(before and before < moment)
            else:
                is_due = moment < known.measured_at == before and _is_ahead(known)
            if not is_due:
                return
            self._show(reading)
        self._wake(reading)

    def note(self, event: Mapping[str, Any]) -> None:
        """Pass on an event, from any thread."""
        self._wake(event)

    def seed(self, readings: Iterator[Reading]) -> None:
        """Fill the curves with stored readings."""
        for reading in readings:
            with self._lock:
                self._draw(reading)
        self.seeded = True

    def readings(self) -> Mapping[str, Reading]:
        """Return the newest reading of each meter."""
        with self._lock:
            return dict(self._readings)

    def curve(self, meter: str) -> Sequence[float | None]:
        """Return the mean power of a meter for each minute of the last hour."""
        with self._lock:
            curve = self._curves.get(meter)
            return curve.points(datetime.now(UTC)) if curve else []

    @contextmanager
    def watching(self) -> Iterator["asyncio.Queue[News]"]:
        """Yield a queue of readings and events; called in the loop.

        Raises OverflowError when there are too many watchers already.
        """
        if len(self._watchers) >= WATCHERS:
            raise OverflowError
        queue: asyncio.Queue[News] = asyncio.Queue(maxsize=1000)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def _show(self, reading: Reading) -> None:
        self._readings[reading.meter] = reading
        self._draw(reading)

    def _draw(self, reading: Reading) -> None:
        power = total_of(reading.values, "active_power")
        if power is not None:
            self._curves.setdefault(reading.meter, Curve()).add(reading.measured_at, power)

    def _wake(self, news: News) -> None:
        if self._watchers and self._loop is not None:
            # The loop may be closing.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._notify, news)

    def _notify(self, news: News) -> None:
        for queue in self._watchers:
            with suppress(asyncio.QueueFull):
                queue.put_nowait(news)


def _is_ahead(reading: Reading) -> bool:
    """Whether a reading is of the future, by this machine's clock."""
    return reading.measured_at > datetime.now(UTC) + AHEAD
