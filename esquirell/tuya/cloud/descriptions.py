"""What the cloud said of devices, asked once and kept in the state directory."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from esquirell.domain.device import Device
from esquirell.tuya.device_files import DeviceFiles

_DEVICE = TypeAdapter(Device)


class Descriptions:
    """Keeps one description per device; what can't be read counts as unknown."""

    def __init__(self, folder: Path) -> None:
        self._files = DeviceFiles(folder)

    def get(self, device_id: str) -> Device | None:
        """Return the description of a device."""
        try:
            return _DEVICE.validate_json(self._files.read(device_id))
        except (OSError, ValidationError):
            return None

    def put(self, device_id: str, device: Device) -> None:
        """Keep a description; a state directory that can't be written to costs only requests."""
        with suppress(OSError):
            self._files.write(device_id, json.dumps(asdict(device), ensure_ascii=False))
