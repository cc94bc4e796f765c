"""What all devices share: the loop, the folder of locks, and who wants to know what they say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from esquirell.domain.heard import Heard
from esquirell.domain.meter import Meter
from esquirell.tuya.discovery.addresses import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.following import Learn
from esquirell.tuya.lan.limits import DEFAULT_LIMITS, Limits
from esquirell.tuya.lan.loop import Loop

Keep = Literal["held", "kept", "closed"]


class Listener(Protocol):
    """Hears of what meters do by themselves, in the loop's thread: it must not wait."""

    def reported(self, meter: Meter, heard: Heard) -> None:
        """Take the state of a meter that reported something."""
        ...

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take note that something happened."""
        ...


class Nobody:
    """Stands in where nobody listens."""

    def reported(self, meter: Meter, heard: Heard) -> None:
        """Ignore it."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Ignore it."""


def forget(meter: Meter, product_id: str) -> None:
    """Ignore what a device announced."""


@dataclass(frozen=True)
class Network:
    """The surroundings of a device.

    `keep` says what becomes of a meter's line between polls: held open with heartbeats, kept for
    the next poll, or closed. `interval_s` gives the pace of its polls in seconds. `learn` takes the
    product id that the device of a meter announced, in the loop's thread.
    """

    lock_dir: Path
    keep: Callable[[Meter], Keep]
    interval_s: Callable[[Meter], float]
    finder: Finder
    addresses: Addresses
    listener: Listener
    loop: Loop
    limits: Limits = DEFAULT_LIMITS
    learn: Learn = forget
