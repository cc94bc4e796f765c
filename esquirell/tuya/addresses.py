"""Where meters with `address = "auto"` were last, so that a restart needs no search."""

import hashlib
import ipaddress
import os
import tempfile
from contextlib import suppress
from pathlib import Path

LONGEST = 64


class Addresses:
    """Keeps one small file per device, named by a hash of its id; read by all processes.

    A folder that can't be written to costs a search after each start, and no reading.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, str] = {}

    def get(self, device_id: str) -> str | None:
        """Give the last known address of a device."""
        if device_id not in self._known and (noted := self._noted(device_id)):
            self._known[device_id] = noted
        return self._known.get(device_id)

    def put(self, device_id: str, address: str) -> None:
        """Remember where a device answered."""
        if self._known.get(device_id) != address or self._noted(device_id) != address:
            self._known[device_id] = address
            with suppress(OSError):
                self._note(device_id, address)

    def drop(self, device_id: str) -> None:
        """Forget what this process knows, so that the file of another one is read again."""
        self._known.pop(device_id, None)

    def _noted(self, device_id: str) -> str | None:
        try:
            with self._file(device_id).open("rb") as file:
                return str(ipaddress.IPv4Address(file.read(LONGEST).decode("ascii").strip()))
        except (OSError, ValueError):
            return None

    def _note(self, device_id: str, address: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(number, "w") as file:
            file.write(f"{address}\n")
        Path(temporary).replace(self._file(device_id))

    def _file(self, device_id: str) -> Path:
        return self._folder / hashlib.sha256(device_id.encode()).hexdigest()[:24]
