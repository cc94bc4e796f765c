"""Simulated meters, each on a real socket in the real Tuya protocol."""

import secrets
import string
import time
from typing import Any, Self

from esquirell.demo.plan import HOST, DemoError, Plan
from esquirell.domain.meter import LOCAL_KEY_LENGTH, ProtocolVersion
from esquirell.domain.record import record
from esquirell.runtime.unconfigured import SimulatedMeter, simulated_meter

NAMES = ("house", "workshop", "barn", "garage", "stable", "cottage", "greenhouse", "shed")

ANY_PORT = 0
PRODUCT_ID = "gqmmtjclqb7reg5p"  # OWON PC321-W-TY


@record
class Building:
    """One building and the meter at its mains connection."""

    name: str
    device_id: str
    key: str
    protocol: ProtocolVersion
    meter: SimulatedMeter

    def table(self) -> dict[str, Any]:
        """Return the meter's table as in a configuration."""
        return {
            "name": self.name,
            "label": self.name.capitalize(),
            "device_id": self.device_id,
            "address": HOST,
            "port": self.meter.port,
            "local_key": self.key,
            "protocol": self.protocol,
            "product_id": PRODUCT_ID,
            # So that the summary counts as many published as stored, except for the last moments.
            "store_every": 0,
        }


class SimulatedMeters:
    """All simulated meters; they answer inside the `with` block."""

    def __init__(self, plan: Plan) -> None:
        self.buildings = [_building(number, plan.protocol) for number in range(plan.meters)]

    @property
    def names(self) -> list[str]:
        """The names of the meters."""
        return [building.name for building in self.buildings]

    def __enter__(self) -> Self:
        """Start all meters. Raises DemoError."""
        try:
            for building in self.buildings:
                building.meter.start()
        except OSError as error:
            raise DemoError(
                f"a simulated meter can't listen on {HOST}: {error.strerror}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        """End all meters."""
        for building in self.buildings:
            building.meter.stop()


def _building(number: int, protocol: ProtocolVersion) -> Building:
    name = NAMES[number] if number < len(NAMES) else f"house{number + 1}"
    device_id = f"bfdemo{number + 1:016d}"
    key = new_key()
    began = time.monotonic()
    meter = simulated_meter(
        (device_id, key, protocol), number, lambda: time.monotonic() - began, (HOST, ANY_PORT)
    )
    return Building(name, device_id, key, protocol, meter)


def new_key() -> str:
    """Generate a local key."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(LOCAL_KEY_LENGTH))
