"""A connection to the MQTT broker that is needed for a moment only."""

import time

from esquirell.runtime.root import Runtime

REACH_S = 6.0
LEAVE_S = 3.0
LOOK_EVERY_S = 0.02


def reach(runtime: Runtime) -> str | None:
    """Wait until the started connection to the broker stands; return why if it does not."""
    connection = runtime.connection
    deadline = time.monotonic() + REACH_S
    while not connection.connected:
        if connection.trouble:
            return connection.trouble
        if time.monotonic() > deadline:
            return "the MQTT broker does not answer: check [mqtt]"
        time.sleep(LOOK_EVERY_S)
    return None
