"""Messages to ourselves: whether the broker delivers what it accepts."""

import secrets
import time
from collections.abc import Callable

from esquirell.mqtt.link import Link, Message

# Together, with the five seconds for which a connection may rest, are within the half
# minute in which a fault is to be named. One message may be lost: brokers drop those of QoS 0 while
# they have a lot to send to us.
EVERY_S = 8.0
MISSED_AFTER_S = 14.0


class Echo:
    """Sends a message to itself every few seconds, and records whether it arrives.

    A broker may confirm all that is published, and deliver nothing: its rules were changed, or it
    is stuck. Commands are not heard then. Used by the connection's thread, but for `is_missing`.
    """

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.topic = topic
        self._clock = clock
        self._word = f"delivery check {secrets.token_hex(8)}".encode()
        self._next_at = 0.0
        # When the first of those was sent that did not come back; None if the last one did.
        self._asked_at: float | None = None

    @property
    def is_missing(self) -> bool:
        """Whether no message has arrived for longer than a broker may take."""
        asked_at = self._asked_at
        return asked_at is not None and self._clock() - asked_at > MISSED_AFTER_S

    def begin(self) -> None:
        """Start anew, on a new connection."""
        self._next_at, self._asked_at = self._clock() + EVERY_S, None

    def turn(self, link: Link) -> None:
        """Send the message if it is due."""
        now = self._clock()
        if now < self._next_at:
            return
        self._next_at = now + EVERY_S
        if self._asked_at is None:
            self._asked_at = now
        link.ask(self.topic, self._word)

    def take(self, message: Message) -> None:
        """Handle a message that came back; others send theirs to the same topic."""
        if message.payload == self._word:
            self._asked_at = None
