"""What waits to be sent, so that a broker that is away leaves no backlog."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

UNRETAINED_LIMIT = 100


class Outgoing(NamedTuple):
    """A message on its way to the broker."""

    topic: str
    payload: bytes
    retained: bool


class Outbox:
    """The newest payload of each retained topic, and a few unretained messages.

    Filled by any thread, emptied by the one that speaks to the broker. A newer state takes the
    place of the one still waiting; of unretained messages the oldest are dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}
        self._waiting: dict[str, bytes] = {}
        self._passing: deque[Outgoing] = deque(maxlen=UNRETAINED_LIMIT)

    def keep(self, topic: str, payload: bytes) -> None:
        """Send a retained payload, unless it is there already, and remember it."""
        with self._lock:
            if self._kept.get(topic) != payload:
                self._kept[topic] = self._waiting[topic] = payload

    def add(self, topic: str, payload: bytes) -> None:
        """Send an unretained message."""
        with self._lock:
            self._passing.append(Outgoing(topic, payload, retained=False))

    def renew(self) -> None:
        """Send all retained payloads again, in the order in which their topics first came up."""
        with self._lock:
            self._waiting = dict(self._kept)

    def give_back(self, unconfirmed: Iterable[Outgoing]) -> None:
        """Send unretained messages again whose arrival was not confirmed; states are renewed."""
        with self._lock:
            lost = [message for message in unconfirmed if not message.retained]
            self._passing = deque([*lost, *self._passing], UNRETAINED_LIMIT)

    def take(self) -> Outgoing | None:
        """Take the next message, states first; None when there is nothing to send."""
        with self._lock:
            if self._waiting:
                topic = next(iter(self._waiting))
                return Outgoing(topic, self._waiting.pop(topic), retained=True)
            return self._passing.popleft() if self._passing else None

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to send."""
        return not (self._waiting or self._passing)
