"""What the demo needs beside the service: simulated meters, and an MQTT observer."""

from collections.abc import Callable
from typing import Literal

from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.options import Options
from esquirell.mqtt.topics import Topics
from esquirell.tuya.simulator import SimulatedMeter
from esquirell.tuya.simulator.simulated_house import DAY_S, SimulatedHouse

__all__ = [
    "DAY_S",
    "Connection",
    "Message",
    "SimulatedMeter",
    "Topics",
    "connection_to",
    "simulated_meter",
]

# The simulated house changes every second; a real meter of this kind reports as often.
REPORT_S = 1.0


def simulated_meter(
    credentials: tuple[str, str, str],
    number: int,
    elapsed_s: Callable[[], float],
    where: tuple[str, int],
) -> SimulatedMeter:
    """Return simulated meter no. `number`, which has been running for `elapsed_s`.

    `credentials` are its device id, local key and protocol, `where` the address and port to listen
    on (0: any port).
    """
    house = SimulatedHouse(seed=number + 1)
    return SimulatedMeter(*credentials, lambda: house.dps(elapsed_s()), *where, report_s=REPORT_S)


def connection_to(host: str, port: int, protocol: Literal["5", "3.1.1"]) -> Connection:
    """Return an MQTT connection that neither logs in nor acts as the bridge."""
    return Connection(Options(host=host, port=port, protocol=protocol))
