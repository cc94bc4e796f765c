"""Small files about devices in the state directory, one per device, shared by all processes."""

import hashlib
import ipaddress
import json
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from esquirell import whole_file
from esquirell.domain.device import Device

# The folder of descriptions in the state directory.
DEVICES = "devices"
LONGEST = 1024 * 1024
_PRODUCT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DEVICE = TypeAdapter(Device)


class _DeviceFiles:
    """Files named by a hash of the device id, as the id is private."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _read(self, device_id: str) -> bytes:
        """Return the content of a device's file. Raises OSError."""
        with self._file(device_id).open("rb") as file:
            return file.read(LONGEST)

    def _write(self, device_id: str, text: str) -> None:
        """Replace the file of a device as a whole, readable only by this user.

        Raises OSError.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        whole_file.replace(self._file(device_id), text.encode())

    def _file(self, device_id: str) -> Path:
        return self._folder / hashlib.sha256(device_id.encode()).hexdigest()[:24]


class Addresses(_DeviceFiles):
    """Remembers the last address of each meter, so that a restart needs no search.

    If the folder can't be written, each start costs a search, but no reading.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._known: dict[str, str] = {}

    def get(self, device_id: str) -> str | None:
        """Return the last known address of a device."""
        if device_id not in self._known and (noted := self._noted(device_id)):
            self._known[device_id] = noted
        return self._known.get(device_id)

    def put(self, device_id: str, address: str) -> None:
        """Remember the address at which a device answered."""
        if self._known.get(device_id) != address or self._noted(device_id) != address:
            self._known[device_id] = address
            with suppress(OSError):
                self._write(device_id, f"{address}\n")

    def drop(self, device_id: str) -> None:
        """Forget what this process remembers, so that the file is read again."""
        self._known.pop(device_id, None)

    def _noted(self, device_id: str) -> str | None:
        try:
            return str(ipaddress.IPv4Address(self._read(device_id).decode("ascii").strip()))
        except (OSError, ValueError):
            return None


class Products(_DeviceFiles):
    """Remembers the product that each device announced; an unreadable file counts as unknown."""

    def get(self, device_id: str) -> str:
        """Return the product id that a device announced; empty if unknown."""
        try:
            noted = self._read(device_id).decode("ascii").strip()
        except (OSError, ValueError):
            return ""
        return noted if _PRODUCT.fullmatch(noted) else ""

    def put(self, device_id: str, product_id: str) -> bool:
        """Remember the product of a device; return whether another one was known."""
        if self.get(device_id) == product_id:
            return False
        with suppress(OSError):
            self._write(device_id, f"{product_id}\n")
        return True


class Descriptions(_DeviceFiles):
    """Keeps the cloud's descriptions of devices; an unreadable file counts as unknown."""

    def get(self, device_id: str) -> Device | None:
        """Return the description of a device, if there is one."""
        try:
            return _DEVICE.validate_json(self._read(device_id))
        except (OSError, ValidationError):
            return None

    def put(self, device_id: str, device: Device) -> None:
        """Keep a description; if the state directory can't be written, this costs only requests."""
        with suppress(OSError):
            self._write(device_id, json.dumps(asdict(device), ensure_ascii=False))
