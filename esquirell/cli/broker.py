"""A connection to the MQTT broker that is needed for a moment only."""

import time

from esquirell.mqtt.client import Connection

REACH_S = 6.0
LEAVE_S = 3.0
LOOK_EVERY_S = 0.02


def reach(connection: Connection) -> str | None:
    """Wait until a started connection stands; give one sentence if it does not."""
    deadline = time.monotonic() + REACH_S
    while not connection.connected:
        if connection.trouble:
            return connection.trouble
        if time.monotonic() > deadline:
            return "the MQTT broker does not answer: check [mqtt]"
        time.sleep(LOOK_EVERY_S)
    return None
