"""What all devices share: the loop, the lock folder, and the listener for reports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import RawDatapoints
from esquirell.domain.record import record
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.follower import Learn
from esquirell.tuya.lan.loop import Loop


@record
class Limits:
    """Time limits of a read, in seconds.

    `connect_s` applies to each address of a device, `key_s` to the negotiation of a session key,
    `refresh_s` to what follows an UPDATEDPS, which many devices do not answer, `answer_s` to the
    answer, restarted by each frame; `probe_s` to one attempt while the protocol is being detected;
    `total_s` to all steps together. An answer is complete after `quiet_s` without a frame, or when
    all expected datapoints have come. A read waits up to `lock_wait_s` for another process to
    finish. Contacts with a device are `gap_s` apart. After `failures_to_cool` failures in a row a
    meter is left alone for `cool_s`, doubling up to `cool_max_s`.
    """

    connect_s: float = 3.0
    key_s: float = 5.0
    refresh_s: float = 1.0
    answer_s: float = 5.0
    quiet_s: float = 0.3
    probe_s: float = 1.0
    total_s: float = 20.0
    lock_wait_s: float = 2.0
    gap_s: float = 0.25
    failures_to_cool: int = 3
    cool_s: float = 10.0
    cool_max_s: float = 60.0


DEFAULT_LIMITS = Limits()


Keep = Literal["held", "kept", "closed"]


class Listener(Protocol):
    """Receives reports and events, in the loop's thread: it must not block."""

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        """Take the state of a meter that reported something."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Handle an event."""


class NullListener:
    """Ignores reports and events."""

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        """Ignore it."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Ignore it."""


def forget(meter: Meter, product_id: str) -> None:
    """Ignore the product id that a device announced."""


@dataclass(frozen=True)
class Network:
    """The environment of a device.

    `keep` decides about a meter's line between polls: held open with heartbeats, kept for the next
    poll, or closed. It is called when lines are assigned, not for each poll. `interval_s` returns
    the interval of a meter's polls in seconds. `learn` takes the product id that a meter's device
    announced, in the loop's thread.
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
