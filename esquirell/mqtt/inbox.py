"""Messages that the broker may send again: each is handled once, and acknowledged after that."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from esquirell.mqtt.link import Link, Message

# More than a broker sends before it waits for acknowledgements.
LIMIT = 1000
# An acknowledgement that is older than this when a connection ends has arrived: the broker has
# answered a ping that was sent after it.
ARRIVED_AFTER_S = 60.0
# Not every broker marks what it sends again (DUP), or gives it the same number. Without either,
# only what was acknowledged just before the end, and comes just after the new beginning, counts.
JUST_BEFORE_S = 2.0
JUST_AFTER_S = 5.0


@dataclass(slots=True)
class _Open:
    """A message that the broker may send again, on the link over which it came last.

    `message` is as it came first; it goes once it was acknowledged, at `acknowledged_at`.
    """

    content: int
    message: Message | None
    latest: Message
    done: bool = False
    acknowledged_at: float | None = None


class Inbox:
    """Keeps each message until the broker surely knows that it was handled.

    Used by the thread of the connection alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: deque[_Open] = deque()
        self._opened_at = self._closed_at = clock()

    @property
    def kept(self) -> int:
        """How many messages it keeps."""
        return len(self._open)

    def opened(self, *, resumed: bool) -> None:
        """Begin a link; `resumed` if the broker continues the session of an earlier one.

        Without a session nothing is sent again.
        """
        self._opened_at = self._clock()
        if not resumed:
            self._open.clear()

    def closed(self) -> None:
        """End a link."""
        self._closed_at = self._clock()
        self._forget()

    def take(self, message: Message) -> bool:
        """Record a received message; return whether it is new, not a redelivery."""
        if not message.number:
            return True
        content = hash((message.topic, message.payload, message.reply_to, message.correlation))
        earlier = [
            known
            for known in self._open
            if known.content == content and known.latest.link is not message.link
        ]
        for known in sorted(earlier, key=lambda one: one.acknowledged_at is not None):
            if self._may_be_again(known, message):
                known.latest, known.acknowledged_at = _bare(message), None
                return False
        if len(self._open) >= LIMIT:
            self._make_room()
        self._open.append(_Open(content, message, _bare(message)))
        return True

    def finish(self, message: Message) -> None:
        for known in self._open:
            if known.message is message:
                known.done = True

    def acknowledge(self, link: Link) -> None:
        """Acknowledge over `link` what was handled; what came by another will come again."""
        for known in self._open:
            due = known.done and known.acknowledged_at is None and known.latest.link is link
            if due and link.acknowledge(known.latest):
                known.acknowledged_at, known.message = self._clock(), None
        if self._clock() - self._opened_at > JUST_AFTER_S:
            self._forget()

    def _may_be_again(self, known: _Open, message: Message) -> bool:
        if known.acknowledged_at is None or message.again:
            return True
        if self._clock() - self._opened_at > JUST_AFTER_S:
            return False
        just_before = self._closed_at - known.acknowledged_at < JUST_BEFORE_S
        return just_before or known.latest.number == message.number

    def _forget(self) -> None:
        """Forget messages whose acknowledgements have arrived; one in progress delays no other."""
        before = self._clock() - ARRIVED_AFTER_S
        if any(_arrived(known, before) for known in self._open):
            self._open = deque(known for known in self._open if not _arrived(known, before))

    def _make_room(self) -> None:
        """Drop the message that was acknowledged first: unacknowledged ones must stay."""
        acknowledged = (known for known in self._open if known.acknowledged_at is not None)
        if (oldest := next(acknowledged, None)) is not None:
            self._open.remove(oldest)


def _arrived(known: _Open, before: float) -> bool:
    return known.acknowledged_at is not None and known.acknowledged_at < before


def _bare(message: Message) -> Message:
    """Return what an acknowledgement needs, without the payload."""
    return Message("", b"", retained=False, number=message.number, link=message.link)
