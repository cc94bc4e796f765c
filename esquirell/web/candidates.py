"""What adding a meter keeps for each browser: devices that might become meters, and a QR code.

Devices were found by a scan, or stand in a list. They stay in memory, with their keys, for a while;
browsers are sent everything but the keys.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any, Generic, TypeVar

from esquirell.domain.record import record

KEEP_S = 1800.0
# As long as Tuya's QR codes are valid.
KEEP_CODE_S = 300.0
# The number of browsers that may have some, and of devices for each.
BROWSERS = 16
DEVICES = 500

Value = TypeVar("Value")


@record
class Candidate:
    """What is known about a device: the fields of a meter, including its key.

    `measures`: whether it is known that it does.
    """

    device_id: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    product: str = ""
    measures: bool = False

    @property
    def title(self) -> str:
        """The device's name for people."""
        return str(self.fields.get("label") or self.product or self.device_id)

    @property
    def has_key(self) -> bool:
        """Whether its local key is known."""
        return bool(self.fields.get("local_key"))

    def shown(self, name: str) -> str:
        """Return a field that may be shown; never the key."""
        return "" if name == "local_key" else str(self.fields.get(name, ""))

    def merged(self, other: "Candidate") -> "Candidate":
        """Return this device, completed by what another source knows."""
        news = {key: value for key, value in other.fields.items() if value not in ("", None)}
        return replace(
            self,
            fields={**self.fields, **news},
            product=other.product or self.product,
            measures=self.measures or other.measures,
        )


class KeptForBrowsers(Generic[Value]):
    """What each browser has, by its session, for `keep_s` seconds; for the page's loop alone."""

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Value]] = OrderedDict()

    def of(self, session: str) -> Value | None:
        """Return what a browser has; None if that is nothing, or it has expired."""
        now = self._clock()
        for owner in [owner for owner, (until, _) in self._kept.items() if until < now]:
            del self._kept[owner]
        _, value = self._kept.get(session, (0.0, None))
        return value

    def put(self, session: str, value: Value) -> None:
        """Keep something for a browser, in place of what it had."""
        self._kept[session] = (self._clock() + self._keep_s, value)
        self._kept.move_to_end(session)
        while len(self._kept) > BROWSERS:
            self._kept.popitem(last=False)

    def take(self, session: str) -> Value | None:
        """Return what a browser has, as `of` does, and forget it."""
        value = self.of(session)
        self._kept.pop(session, None)
        return value


class Candidates:
    """The devices that each browser has found, by session."""

    def __init__(self) -> None:
        self._kept: KeptForBrowsers[dict[str, Candidate]] = KeptForBrowsers(KEEP_S)

    def of(self, session: str) -> Mapping[str, Candidate]:
        """Return the devices of a browser, by id."""
        return self._kept.of(session) or {}

    def add(self, session: str, *devices: Candidate) -> None:
        """Add devices; earlier knowledge about them is kept."""
        found = dict(self.of(session))
        for device in devices:
            known = found.get(device.device_id)
            if known is not None or len(found) < DEVICES:
                found[device.device_id] = known.merged(device) if known else device
        self._kept.put(session, found)

    def drop(self, session: str, device_id: str = "") -> None:
        """Remove a device of a browser, or all of them."""
        if not device_id:
            self._kept.take(session)
        elif found := self._kept.of(session):
            found.pop(device_id, None)
