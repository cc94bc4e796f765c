"""What all devices share: the loop, the folder of locks, and who wants to know what they say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import RawDatapoints
from esquirell.domain.record import record
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder, Learn
from esquirell.tuya.lan.loop import Loop


@record
class Limits:
    """Bounds of a read, all times in seconds.

    `connect_s` holds for each address of a device, `key_s` for the agreement on a session key,
    `refresh_s` for what follows an UPDATEDPS, which many devices leave unanswered, `answer_s` for
    the answer, counted anew from each frame that comes; `probe_s` for one try while the protocol
    is being found; `total_s` for all steps together. An answer is complete when nothing came for
    `quiet_s`, or all that came before. A read waits up to `lock_wait_s` for another process to
    end its own. Contacts with a device are `gap_s` apart. After `failures_to_cool` failures in a
    row a meter is left alone for `cool_s`, doubling up to `cool_max_s`.
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
    """Hears of what meters do by themselves, in the loop's thread: it must not wait."""

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        """Take the state of a meter that reported something."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Handle an event."""


class NullListener:
    """Ignores reports and events, where nothing uses them."""

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        """Ignore it."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Ignore it."""


def forget(meter: Meter, product_id: str) -> None:
    """Ignore what a device announced."""


@dataclass(frozen=True)
class Network:
    """The surroundings of a device.

    `keep` says what becomes of a meter's line between polls: held open with heartbeats, kept for
    the next poll, or closed; whether it is held is asked when lines are handed out, not each time.
    `interval_s` gives the pace of its polls in seconds. `learn` takes the product id that the
    device of a meter announced, in the loop's thread.
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
