"""The queue of outgoing messages, and how large the broker lets them be.

An unreachable broker leaves no backlog of states.
"""

import json
import threading
import time
import zlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(payload: Mapping[str, object]) -> bytes:
    """Write a payload as compact JSON in UTF-8.

    Raises ValueError for NaN and infinities, which are no JSON, and TypeError for what has no
    JSON form at all.
    """
    return _ENCODER.encode(payload).encode("utf-8")


EVENT_LIMIT = 100
# Enough for a burst of commands, each of whose senders waits for an answer.
ANSWER_LIMIT = 2000
# Payloads of this size are kept compressed: a meter is announced to Home Assistant in 13 KiB, which
# become one. Readings are smaller, and change each time.
LARGE_BYTES = 4096
# The fastest of zlib's levels.
_LEVEL = 1


class _Compressed(NamedTuple):
    data: bytes


_Kept = bytes | _Compressed


class Outgoing(NamedTuple):
    """An outgoing message.

    `correlation` is the correlation data of an answer, empty where its request had none, and None
    for anything but an answer; `instead` is sent if it is too large for the broker.
    """

    topic: str
    payload: bytes
    retained: bool
    correlation: bytes | None = None
    instead: bytes | None = None

    @property
    def size(self) -> int:
        """The length of the packet in bytes: MQTT 5.0, section 3.3, with at most 14 of header."""
        return 14 + len(self.topic.encode()) + len(self.correlation or b"") + len(self.payload)


class Outbox:
    """The newest payload of each retained topic, answers, and a few events.

    Filled by any thread, emptied by the connection's. A newer state replaces the queued one; of too
    many answers and events, the oldest are dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._last: set[str] = set()
        # A plain dict searches for its first key past all removed ones.
        self._waiting: OrderedDict[str, _Kept] = OrderedDict()
        self._answers: deque[Outgoing] = deque(maxlen=ANSWER_LIMIT)
        self._events: deque[Outgoing] = deque(maxlen=EVENT_LIMIT)

    def keep(self, topic: str, payload: bytes, *, last: bool = False) -> None:
        """Queue a retained payload, unless it is there already, and remember it.

        With `last` it is sent after all other queued retained payloads.
        """
        with self._lock:
            if last:
                self._last.add(topic)
            if self.kept(topic) != payload:
                self._kept[topic] = self._waiting[topic] = _pack(payload)

    def kept(self, topic: str) -> bytes | None:
        """Return the payload that a topic should have: empty if cleared, None if it is not ours."""
        kept = self._kept.get(topic)
        return None if kept is None else _unpack(kept)

    def repeat(self, topic: str) -> None:
        """Queue the payload of a retained topic again."""
        with self._lock:
            if topic in self._kept:
                self._waiting[topic] = self._kept[topic]

    def release(self, topic: str) -> None:
        """Forget a retained topic: what another client has published there is to stay."""
        with self._lock:
            self._kept.pop(topic, None)
            self._waiting.pop(topic, None)

    def confirmed(self, message: Outgoing) -> None:
        """Forget a topic that is known to be clear."""
        with self._lock:
            cleared = message.retained and not message.payload
            if cleared and self._kept.get(message.topic) == b"":
                del self._kept[message.topic]

    def add(self, topic: str, payload: bytes) -> None:
        """Queue an event."""
        with self._lock:
            self._events.append(Outgoing(topic, payload, retained=False))

    def answer(self, message: Outgoing) -> None:
        """Queue an answer."""
        with self._lock:
            self._answers.append(message)

    def renew(self) -> None:
        """Queue all retained payloads again, in the order in which their topics were first used."""
        with self._lock:
            self._waiting = OrderedDict(self._kept)

    def give_back(self, unconfirmed: Iterable[Outgoing]) -> None:
        """Queue unconfirmed unretained messages again; states are renewed anyway."""
        with self._lock:
            lost = [message for message in unconfirmed if not message.retained]
            answers = [message for message in lost if message.correlation is not None]
            events = [message for message in lost if message.correlation is None]
            self._answers = deque([*answers, *self._answers], ANSWER_LIMIT)
            self._events = deque([*events, *self._events], EVENT_LIMIT)

    def take(self) -> Outgoing | None:
        """Return the next message, states first; None when there is nothing to send."""
        with self._lock:
            if self._waiting:
                topic, payload = self._next_state()
                return Outgoing(topic, payload, retained=True)
            passing = self._answers or self._events
            return passing.popleft() if passing else None

    def _next_state(self) -> tuple[str, bytes]:
        for _ in range(len(self._waiting)):
            topic = next(iter(self._waiting))
            if topic not in self._last or self._waiting.keys() <= self._last:
                break
            self._waiting.move_to_end(topic)
        topic, kept = self._waiting.popitem(last=False)
        return topic, _unpack(kept)

    @property
    def count(self) -> int:
        """How many messages are queued."""
        return len(self._waiting) + len(self._answers) + len(self._events)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        return self.count == 0


def _pack(payload: bytes) -> _Kept:
    return payload if len(payload) < LARGE_BYTES else _Compressed(zlib.compress(payload, _LEVEL))


def _unpack(kept: _Kept) -> bytes:
    return zlib.decompress(kept.data) if isinstance(kept, _Compressed) else kept


# Brokers' limits are larger than this.
LEAST_LIMIT = 2048
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
        suspects = [size for size in unconfirmed if size > max(self._confirmed, LEAST_LIMIT)]
        if len(suspects) == 1:
            self._strike(suspects[0])
        self._careful = bool(suspects)

    def allows(self, size: int) -> bool:
        """Whether the broker accepts a packet of this size, as far as is known."""
        return size <= (self.bytes or size)

    def wants_alone(self, size: int) -> bool:
        """Whether a packet has to wait until nothing else is under way."""
        return self._careful and size > max(self._confirmed, LEAST_LIMIT)

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
