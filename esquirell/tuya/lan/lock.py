"""One reader at a time for each device, over all processes of a machine."""

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

LONGEST_NOTE = 64
NONE = "-"
NOTED = ("3.1", "3.2", "3.3", "3.4", "3.5")


class DeviceLock:
    """The lock of one device, and what all processes have to know of it.

    The lock is the kernel's (flock): it frees itself when a process is killed. The file holds
    the protocol found for the device; its time is that of the last contact, which costs an SD
    card less than a page with each reading. A device is known by a hash of its id, which is
    private.
    """

    def __init__(self, folder: Path, device_id: str) -> None:
        digest = hashlib.sha256(device_id.encode()).hexdigest()
        self._path = folder / f"{digest[:24]}.lock"
        self._file: int | None = None
        self._contact = 0.0
        self._noted = ""
        self.version = ""

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether it is ours.

        Raises OSError when the file can't be opened or locked. Held already is fine. A folder that
        is gone, with its disk, keeps nobody from reading: no other process finds a lock there.
        """
        if self._file is not None:
            return True
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._recall(file)
            self._file = file
        except BlockingIOError:
            return False
        except OSError as error:  # a network file system may know no locks
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        finally:
            if self._file is None:
                os.close(file)
        return True

    def release(self) -> None:
        """Note the last contact and free the lock; not held is fine."""
        if self._file is None:
            return
        file, self._file = self._file, None
        self._note(file)
        os.close(file)

    def abandon(self) -> None:
        """Close the file, which a fork copied; the lock stays with the parent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def gap_left(self, gap_s: float) -> float:
        """Return the seconds until the last contact with the device is `gap_s` ago."""
        # A clock that was set back would make the last contact lie far ahead.
        return max(0.0, min(self._contact + gap_s - time.time(), gap_s))

    def note_contact(self) -> None:
        """Remember that there was contact with the device just now."""
        self._contact = time.time()

    def _recall(self, file: int) -> None:
        found = os.fstat(file)
        # One that was just made has seen no contact.
        self._contact = found.st_mtime if found.st_size else 0.0
        self._noted = os.pread(file, LONGEST_NOTE, 0).decode("ascii", "replace").strip()
        self.version = self._noted if self._noted in NOTED else ""

    def _note(self, file: int) -> None:
        note = self.version or NONE
        # The disk may be full; the gap to the next contact is not worth a failed read.
        with suppress(OSError):
            if note != self._noted:
                os.ftruncate(file, os.pwrite(file, f"{note}\n".encode("ascii"), 0))
            os.utime(file, (self._contact, self._contact))
