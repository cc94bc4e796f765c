"""What meters announced of their product, so that an unknown one is known by its layout."""

import re
from contextlib import suppress
from pathlib import Path

from esquirell.tuya.device_files import DeviceFiles

_PRODUCT = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Products:
    """Remembers the product ids of devices in files; what can't be read counts as unknown."""

    def __init__(self, folder: Path) -> None:
        self._files = DeviceFiles(folder)

    def get(self, device_id: str) -> str:
        """Return the product id that a device announced; empty where none is known."""
        try:
            noted = self._files.read(device_id).decode("ascii").strip()
        except (OSError, ValueError):
            return ""
        return noted if _PRODUCT.fullmatch(noted) else ""

    def put(self, device_id: str, product_id: str) -> bool:
        """Remember the product of a device; return whether it was known otherwise."""
        if self.get(device_id) == product_id:
            return False
        with suppress(OSError):
            self._files.write(device_id, f"{product_id}\n")
        return True
