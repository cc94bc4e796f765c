"""A short connection to the MQTT broker."""

import time
from typing import Protocol

REACH_S = 6.0
LEAVE_S = 3.0
LOOK_EVERY_S = 0.02


class Connection(Protocol):
    """The state of a connection: whether it is established, else why not."""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection."""
        ...

    @property
    def trouble(self) -> str:
        """Why there is no connection, in one sentence; empty while none has failed."""
        ...


def reach(connection: Connection) -> str | None:
    """Wait until the connection is established; return why if it is not."""
    deadline = time.monotonic() + REACH_S
    while not connection.connected:
        if connection.trouble:
            return connection.trouble
        if time.monotonic() > deadline:
            return "the MQTT broker does not answer: check [mqtt]"
        time.sleep(LOOK_EVERY_S)
    return None
