"""Space reserved on a disk, for readings while other programs have filled the rest."""

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

# A reading takes half a KiB: the readings of two hours from a dozen meters.
RESERVE_BYTES = 1024 * 1024
# A disk with less room than this is left alone.
WORTHWHILE_BYTES = 8 * RESERVE_BYTES


class Reserve:
    """A file of zeros that occupies space until it is released."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def keep(self) -> None:
        """Make the file unless it is there, or the disk has little room; never raises."""
        with suppress(OSError):
            if self._file.exists() or _room(self._file.parent) < WORTHWHILE_BYTES:
                return
            try:
                self._make()
            except OSError:
                self._file.unlink(missing_ok=True)

    def release(self) -> bool:
        """Release the space if the disk is full; return whether any was released."""
        try:
            if _room(self._file.parent) >= RESERVE_BYTES:
                return False
            self._file.unlink()
        except OSError:
            return False
        log.warning("the disk of %s is full: what was kept free there is used", self._file.parent)
        return True

    def _make(self) -> None:
        """Write the file, so that the disk has to find room for it. Raises OSError."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            else:
                file.write(bytes(RESERVE_BYTES))


def _room(folder: Path) -> int:
    """Return how much this user may still write to a disk, in bytes. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
