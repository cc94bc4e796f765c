"""Small files about devices in the state directory, one per device, read by all processes."""

import hashlib
import os
import tempfile
from pathlib import Path

LONGEST = 1024 * 1024


class DeviceFiles:
    """Files named by a hash of the device id, which is private."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, device_id: str) -> bytes:
        """Return the content of a device's file. Raises OSError."""
        with self._file(device_id).open("rb") as file:
            return file.read(LONGEST)

    def write(self, device_id: str, text: str) -> None:
        """Replace the file of a device, readable for this user alone, as a whole.

        Raises OSError.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=self._folder)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(self._file(device_id))

    def _file(self, device_id: str) -> Path:
        return self._folder / hashlib.sha256(device_id.encode()).hexdigest()[:24]
