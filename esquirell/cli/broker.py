"""A connection to the MQTT broker that is needed for a moment only."""

import time
from typing import Protocol

REACH_S = 6.0
LEAVE_S = 3.0
LOOK_EVERY_S = 0.02


class Connection(Protocol):
    """What is known of a connection: whether it stands, else why not."""

    @property
    def connected(self) -> bool:
        """Whether the broker accepted the connection."""
        ...

    @property
    def trouble(self) -> str:
        """Why there is no connection, in one sentence; empty while none has failed."""
        ...


def reach(connection: Connection) -> str | None:
    """Wait until the started connection to the broker stands; return why if it does not."""
    deadline = time.monotonic() + REACH_S
    while not connection.connected:
        if connection.trouble:
            return connection.trouble
        if time.monotonic() > deadline:
            return "the MQTT broker does not answer: check [mqtt]"
        time.sleep(LOOK_EVERY_S)
    return None
