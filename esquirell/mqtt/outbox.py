"""What waits to be sent, so that a broker that is away leaves no backlog."""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

EVENT_LIMIT = 100
# Enough for a burst of commands: somebody waits for each answer.
ANSWER_LIMIT = 2000


class Outgoing(NamedTuple):
    """A message on its way to the broker."""

    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None = None


class Outbox:
    """The newest payload of each retained topic, answers, and a few events.

    Filled by any thread, emptied by the one that speaks to the broker. A newer state takes the
    place of the one still waiting; of answers and events that are too many, the oldest are dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, bytes] = {}
        # A plain one looks for its first key through all that were taken before.
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._answers: deque[Outgoing] = deque(maxlen=ANSWER_LIMIT)
        self._events: deque[Outgoing] = deque(maxlen=EVENT_LIMIT)

    def keep(self, topic: str, payload: bytes) -> None:
        """Send a retained payload, unless it is there already, and remember it."""
        with self._lock:
            if self._kept.get(topic) != payload:
                self._kept[topic] = self._waiting[topic] = payload

    def add(self, topic: str, payload: bytes) -> None:
        """Send an event."""
        with self._lock:
            self._events.append(Outgoing(topic, payload, retained=False))

    def answer(self, topic: str, payload: bytes, correlation: bytes) -> None:
        """Send an answer, with the correlation data of its request (empty: it had none)."""
        with self._lock:
            self._answers.append(Outgoing(topic, payload, retained=False, correlation=correlation))

    def renew(self) -> None:
        """Send all retained payloads again, in the order in which their topics first came up."""
        with self._lock:
            self._waiting = OrderedDict(self._kept)

    def give_back(self, unconfirmed: Iterable[Outgoing]) -> None:
        """Send unretained messages again whose arrival was not confirmed; states are renewed."""
        with self._lock:
            lost = [message for message in unconfirmed if not message.retained]
            answers = [message for message in lost if message.correlation is not None]
            events = [message for message in lost if message.correlation is None]
            self._answers = deque([*answers, *self._answers], ANSWER_LIMIT)
            self._events = deque([*events, *self._events], EVENT_LIMIT)

    def take(self) -> Outgoing | None:
        """Take the next message, states first; None when there is nothing to send."""
        with self._lock:
            if self._waiting:
                topic, payload = self._waiting.popitem(last=False)
                return Outgoing(topic, payload, retained=True)
            passing = self._answers or self._events
            return passing.popleft() if passing else None

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to send."""
        return not (self._waiting or self._answers or self._events)
