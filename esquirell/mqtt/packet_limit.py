"""The largest packet that the broker accepts."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

# Brokers' limits are larger than this.
LEAST = 2048
STRIKES = 3
# A detected limit is tested again after this: the broker may have another one by now.
FORGET_AFTER_S = 3600.0


class PacketLimit:
    """The limit in bytes, as the broker announces it (MQTT 5), else as detected from its cuts.

    A broker that speaks MQTT 3.1.1 announces nothing: it cuts the connection. After a cut, any
    message larger than those confirmed on the new connection waits until nothing else is under way,
    so that the message behind the next cut is known; after three cuts it counts as too large.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._announced: int | None = None
        self._found: int | None = None
        self._found_at = 0.0
        self._confirmed = 0
        self._careful = False
        self._strikes: Counter[int] = Counter()

    def opened(self, announced: int | None) -> None:
        """Start a connection, with the limit that the broker announced."""
        self._announced = announced
        self._confirmed = 0

    def confirmed(self, size: int) -> None:
        """Record that the broker accepted a packet."""
        self._confirmed = max(self._confirmed, size)
        self._strikes.pop(size, None)

    def cut(self, unconfirmed: Sequence[int]) -> None:
        """Record that the connection was cut while packets of these sizes were under way."""
        suspects = [size for size in unconfirmed if size > max(self._confirmed, LEAST)]
        if len(suspects) == 1:
            self._strike(suspects[0])
        self._careful = bool(suspects)

    def allows(self, size: int) -> bool:
        """Whether the broker accepts a packet of this size, as far as is known."""
        return size <= (self.bytes or size)

    def wants_alone(self, size: int) -> bool:
        """Whether a packet has to wait until nothing else is under way."""
        return self._careful and size > max(self._confirmed, LEAST)

    @property
    def bytes(self) -> int | None:
        """The largest size that is allowed; None while no limit is known."""
        if self._found is not None and self._clock() - self._found_at > FORGET_AFTER_S:
            self._found = None
            self._strikes.clear()
        limits = [limit for limit in (self._announced, self._found) if limit is not None]
        return min(limits, default=None)

    def _strike(self, size: int) -> None:
        self._strikes[size] += 1
        if self._strikes[size] >= STRIKES:
            self._found, self._found_at = min(size - 1, self._found or size), self._clock()
