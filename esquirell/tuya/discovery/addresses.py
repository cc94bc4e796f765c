"""Where meters with `address = "auto"` were last, so that a restart needs no search."""

import ipaddress
from contextlib import suppress
from pathlib import Path

from esquirell.tuya.device_files import DeviceFiles


class Addresses:
    """Remembers addresses, in this process and in files.

    A folder that can't be written to costs a search after each start, and no reading.
    """

    def __init__(self, folder: Path) -> None:
        self._files = DeviceFiles(folder)
        self._known: dict[str, str] = {}

    def get(self, device_id: str) -> str | None:
        """Return the last known address of a device."""
        if device_id not in self._known and (noted := self._noted(device_id)):
            self._known[device_id] = noted
        return self._known.get(device_id)

    def put(self, device_id: str, address: str) -> None:
        """Remember where a device answered."""
        if self._known.get(device_id) != address or self._noted(device_id) != address:
            self._known[device_id] = address
            with suppress(OSError):
                self._files.write(device_id, f"{address}\n")

    def drop(self, device_id: str) -> None:
        """Forget what this process knows, so that the file of another one is read again."""
        self._known.pop(device_id, None)

    def _noted(self, device_id: str) -> str | None:
        try:
            return str(ipaddress.IPv4Address(self._files.read(device_id).decode("ascii").strip()))
        except (OSError, ValueError):
            return None
