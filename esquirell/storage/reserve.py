"""Space reserved on a disk, for readings while other programs have filled the rest."""

import json
import logging
import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

# A reading takes half a KiB: the readings of two hours from a dozen meters.
RESERVE_BYTES = 1024 * 1024
# A disk with less room than this is left alone.
WORTHWHILE_BYTES = 8 * RESERVE_BYTES
# Compressed, readings of one meter take some dozen bytes each.
LAST_BYTES = 256 * 1024
# How many bytes of content follow, and their CRC-32; all zero while there is none.
_HEADER = struct.Struct(">II")


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


class LastResort:
    """A file that is written in place, which needs no room: for what a process holds at its end.

    Its blocks are its own since it was made, whatever others have filled the disk with since.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def keep(self) -> None:
        """Make the file unless it is there; never raises."""
        if os.access(self._file, os.F_OK):
            return
        try:
            descriptor = os.open(
                self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(bytes(LAST_BYTES))
                file.flush()
                os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                self._file.unlink()

    def write(self, bodies: Sequence[str]) -> int:
        """Put texts in place of the present ones, without the oldest if they are too many.

        Return how many it took. Raises OSError.
        """
        bodies = list(bodies)
        while len(content := _packed(bodies)) > LAST_BYTES - _HEADER.size:
            bodies = bodies[len(bodies) // 2 + 1 :]
        header = _HEADER.pack(len(content), zlib.crc32(content)) if bodies else bytes(_HEADER.size)
        with self._file.open("r+b", buffering=0) as file:
            file.write(header + content)
            os.fsync(file.fileno())
        return len(bodies)

    def read(self) -> list[str]:
        """Return its texts; none if there is no file, or it was written by half."""
        try:
            with self._file.open("rb") as file:
                size, checksum = _HEADER.unpack(file.read(_HEADER.size))
                content = file.read(size)
            if not size or zlib.crc32(content) != checksum:
                return []
            return [str(body) for body in json.loads(zlib.decompress(content))]
        except (OSError, ValueError, struct.error, zlib.error):
            return []


def _packed(bodies: Sequence[str]) -> bytes:
    return zlib.compress(json.dumps(bodies).encode())


def _room(folder: Path) -> int:
    """Return how much this user may still write to a disk, in bytes. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
