"""Messages that were handed over and are not surely acknowledged."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from esquirell.mqtt.link import Link, Message

# More than a broker sends before it waits for acknowledgements.
LIMIT = 1000


@dataclass(slots=True)
class Open:
    """A message that the broker may send again; `latest` is how it came last."""

    message: Message
    latest: Message
    done: bool = False


class Inbox:
    """Keeps each message until the broker knows that it was dealt with.

    What is sent again over a new link is recognised, so that a command runs once. Used by the
    thread of the connection alone.
    """

    def __init__(self) -> None:
        self._open: deque[Open] = deque(maxlen=LIMIT)

    def take(self, message: Message) -> bool:
        """Note a message that came; tell whether it is new, and not one sent again."""
        if not message.number:
            return True
        for known in self._open if message.again else ():
            if known.latest.link is not message.link and _same(known.message, message):
                known.latest = message
                return False
        self._open.append(Open(message, message))
        return True

    def finish(self, message: Message) -> None:
        """Note that a message was dealt with."""
        for known in self._open:
            if known.message is message:
                known.done = True

    def acknowledge(self, link: Link) -> None:
        """Acknowledge over `link` what was dealt with; what came by another will come again."""
        for known in list(self._due(link)):
            if link.acknowledge(known.latest):
                self._open.remove(known)

    def _due(self, link: Link) -> Iterator[Open]:
        return (known for known in self._open if known.done and known.latest.link is link)


def _same(one: Message, other: Message) -> bool:
    content = (one.topic, one.payload, one.reply_to, one.correlation)
    return content == (other.topic, other.payload, other.reply_to, other.correlation)
