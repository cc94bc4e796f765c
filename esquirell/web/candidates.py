"""Devices that might become meters: found by a scan, or listed in an uploaded file.

They stay in memory, with their keys, for a while; browsers are sent everything but the keys.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from esquirell.domain.record import record

KEEP_S = 1800.0
# The number of browsers that may have some, and of devices for each.
BROWSERS = 16
DEVICES = 500


@record
class Candidate:
    """What is known about a device: the fields of a meter, including its key.

    `measures` is None if it is unknown whether it measures.
    """

    device_id: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    product: str = ""
    measures: bool | None = None

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
            measures=self.measures if other.measures is None else other.measures,
        )


class Candidates:
    """The devices that each browser has found, by session."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, dict[str, Candidate]]] = OrderedDict()

    def of(self, session: str) -> dict[str, Candidate]:
        """Return the devices of a browser, by id."""
        with self._lock:
            self._forget()
            _, found = self._kept.get(session, (0.0, {}))
            return dict(found)

    def add(self, session: str, *devices: Candidate) -> None:
        """Add devices; earlier knowledge about them is kept."""
        with self._lock:
            self._forget()
            _, found = self._kept.get(session, (0.0, {}))
            for device in devices:
                known = found.get(device.device_id)
                if known is not None or len(found) < DEVICES:
                    found[device.device_id] = known.merged(device) if known else device
            self._kept[session] = (self._clock() + KEEP_S, found)
            self._kept.move_to_end(session)
            while len(self._kept) > BROWSERS:
                self._kept.popitem(last=False)

    def drop(self, session: str, device_id: str = "") -> None:
        """Remove a device of a browser, or all of them."""
        with self._lock:
            if not device_id:
                self._kept.pop(session, None)
            elif session in self._kept:
                self._kept[session][1].pop(device_id, None)

    def _forget(self) -> None:
        now = self._clock()
        for session in [one for one, (until, _) in self._kept.items() if until < now]:
            del self._kept[session]
