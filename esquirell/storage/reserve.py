"""Space reserved on a disk, for readings while other programs have filled the rest."""

import fcntl
import json
import logging
import os
import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

# A reading takes half a KiB: the readings of two hours from a dozen meters.
RESERVE_BYTES = 1024 * 1024
# A disk with less room than this is left alone.
WORTHWHILE_BYTES = 8 * RESERVE_BYTES
# Ten thousand readings, compressed.
HALF_BYTES = 512 * 1024
# The number of what a half holds, how many bytes of content follow, and the CRC-32 of both.
_HEADER = struct.Struct(">III")


class Reserve:
    """A file of zeros that occupies space until it is released."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def keep(self) -> None:
        """Make the file unless it is there, or the disk has little room; never raises."""
        with suppress(OSError):
            if not self._file.exists() and _room(self._file.parent) >= WORTHWHILE_BYTES:
                _make(self._file, _allocate)

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


class LastResort:
    """A file that is written in place, for what a process holds at its end on a full disk.

    It needs no further room, except on a file system that writes every change elsewhere (btrfs,
    ZFS, F2FS): on a full one of these it may be refused. Each of its two halves holds texts; the
    half with the higher number counts, and the other one is written, so that a power cut meanwhile
    costs none of the earlier texts. Processes that use it at the same time take turns (flock(2)).
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def keep(self) -> None:
        """Make the file unless it is there; never raises."""
        with suppress(OSError):
            _make(self._file, _fill)

    def add(self, bodies: Sequence[str]) -> int:
        """Add texts, without the oldest of all if they are too many; return how many are left out.

        Raises OSError.
        """
        with self._locked() as file:
            number, present = _newest(file)
            left_out, content = _fitting([*present, *bodies])
            _write(file, number + 1, content)
        return left_out

    @contextmanager
    def taken(self) -> Iterator[list[str]]:
        """Yield its texts, which it holds no longer at the end; after an error it still does.

        Raises OSError.
        """
        with self._locked() as file:
            number, bodies = _newest(file)
            yield bodies
            if bodies:
                _write(file, number + 1, _packed(()))

    def read(self) -> list[str]:
        """Return its texts; none if there is no file, or it is damaged."""
        try:
            with self._file.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
                return _newest(file)[1]
        except OSError:
            return []

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        with self._file.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _write(file: BinaryIO, number: int, content: bytes) -> None:
    file.seek(number % 2 * HALF_BYTES)
    file.write(_HEADER.pack(number, len(content), zlib.crc32(content, number)) + content)
    file.flush()
    os.fsync(file.fileno())


def _newest(file: BinaryIO) -> tuple[int, list[str]]:
    """Return the number and the texts of the half that counts; zero and none if none does."""
    return max(_half(file, 0), _half(file, 1))


def _half(file: BinaryIO, which: int) -> tuple[int, list[str]]:
    file.seek(which * HALF_BYTES)
    try:
        number, size, checksum = _HEADER.unpack(file.read(_HEADER.size))
        content = file.read(min(size, HALF_BYTES))
        if zlib.crc32(content, number) != checksum:
            return 0, []
        return number, [str(body) for body in json.loads(zlib.decompress(content))]
    except (ValueError, struct.error, zlib.error):
        return 0, []


def _fitting(bodies: Sequence[str]) -> tuple[int, bytes]:
    """Return how many of the oldest texts a half has no room for, and the others packed."""

    def fits(left_out: int) -> bool:
        return len(_packed(bodies[left_out:])) <= HALF_BYTES - _HEADER.size

    left_out = 0 if fits(0) else bisect_left(range(len(bodies)), x=True, key=fits)
    return left_out, _packed(bodies[left_out:])


def _packed(bodies: Sequence[str]) -> bytes:
    return zlib.compress(json.dumps(bodies).encode())


def _make(path: Path, occupy: Callable[[BinaryIO], None]) -> None:
    """Make a file that occupies space; leave nothing if the disk has too little.

    Raises OSError, as when it is there already: another process may be making it.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            occupy(file)
    except OSError:
        path.unlink()


def _allocate(file: BinaryIO) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    else:
        file.write(bytes(RESERVE_BYTES))


def _fill(file: BinaryIO) -> None:
    file.write(bytes(2 * HALF_BYTES))
    file.flush()
    os.fsync(file.fileno())


def _room(folder: Path) -> int:
    """Return how much this user may still write to a disk, in bytes. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
