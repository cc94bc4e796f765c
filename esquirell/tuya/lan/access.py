"""When a device may be read: by one process at a time, after a gap, and not too soon again.

After failed reads, or after it closed lines that were held open, it is left alone for a while.
"""

import fcntl
import hashlib
import os
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from esquirell import forks
from esquirell.domain.errors import MeterError
from esquirell.tuya.lan.holder import is_stopped
from esquirell.tuya.lan.network import Limits

LONGEST_NOTE = 64
NONE = "-"
NOTED = ("3.1", "3.2", "3.3", "3.4", "3.5")


class DeviceLock:
    """The lock of one device, with what all processes need to know about it.

    The lock is the kernel's (flock), which releases it when a process is killed. A stopped
    process (SIGSTOP) keeps only the old file: the next one replaces and locks it. The file holds
    the detected protocol; its modification time is that of the last contact, which wears an SD
    card less than rewriting a page for each reading. It is named by a hash of the device id, as
    that is private.
    """

    def __init__(self, folder: Path, device_id: str) -> None:
        digest = hashlib.sha256(device_id.encode()).hexdigest()
        self._path = folder / f"{digest[:24]}.lock"
        self._file: int | None = None
        self._contact = 0.0
        self._noted = ""
        self.version = ""

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether we hold it.

        It may be held already, unless it was replaced while this process was stopped. One whose
        holder was stopped is free at the next try. If the folder is gone, for instance with its
        disk, reading goes on: other processes find no lock there either. Raises OSError when the
        file can't be opened or locked.
        """
        if self._file is not None and self._is_current(self._file):
            return True
        self.abandon()
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_current(file):
                self._recall(file)
                self._file = file
                forks.hold(file)
        except BlockingIOError:
            self._discard_stopped(file)
        except OSError as error:  # a network file system may know no locks
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        finally:
            if self._file is None:
                os.close(file)
        return self._file is not None

    def _is_current(self, file: int) -> bool:
        """Whether a file is still the one that others find; in a child ours is closed."""
        try:
            return os.path.samestat(os.fstat(file), self._path.lstat())
        except OSError:
            return False

    def _discard_stopped(self, file: int) -> None:
        """Remove a file whose lock a stopped process holds; the next try works.

        One process at a time: another may have removed it already, and locked a new one.
        """
        if not is_stopped(file):
            return
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self._is_current(file) and is_stopped(file):
                self._path.unlink()
        except BlockingIOError:
            return
        finally:
            os.close(folder)

    def release(self) -> None:
        """Record the last contact and release the lock; does nothing if it is not held."""
        if self._file is None:
            return
        file, self._file = self._file, None
        if forks.holds(file):
            self._note(file)
            forks.close(file)

    def abandon(self) -> None:
        """Close the file, which a fork copied or another process replaced; nothing is noted."""
        if self._file is not None:
            forks.close(self._file)
            self._file = None

    def gap_left(self, gap_s: float) -> float:
        """Return the seconds until the last contact is `gap_s` ago."""
        # After the clock was set back the last contact would lie far in the future.
        return max(0.0, min(self._contact + gap_s - time.time(), gap_s))

    def note_contact(self) -> None:
        """Record a contact with the device just now."""
        self._contact = time.time()

    def _recall(self, file: int) -> None:
        found = os.fstat(file)
        # A new file means no contact yet.
        self._contact = found.st_mtime if found.st_size else 0.0
        self._noted = os.pread(file, LONGEST_NOTE, 0).decode("ascii", "replace").strip()
        self.version = self._noted if self._noted in NOTED else ""

    def _note(self, file: int) -> None:
        note = self.version or NONE
        # The disk may be full; that is no reason to fail a read.
        with suppress(OSError):
            if note != self._noted:
                os.ftruncate(file, os.pwrite(file, f"{note}\n".encode("ascii"), 0))
            os.utime(file, (self._contact, self._contact))


class CoolDown:
    """Counts the failures of one meter and decides when it may be read again."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._until = 0.0
        self._last: MeterError | None = None
        self.failures = 0

    def check(self) -> None:
        """Raise the last failure again while the meter is cooling down."""
        if self._last is not None and self._now() < self._until:
            raise type(self._last)(self._last.code, str(self._last))

    def failed(self, error: MeterError) -> None:
        """Count a failure; after a number of them, each one doubles the waiting time."""
        self._last = error
        self.failures += 1
        beyond = self.failures - self._limits.failures_to_cool
        if beyond >= 0:
            wait_s = min(self._limits.cool_s * 2.0 ** min(beyond, 32), self._limits.cool_max_s)
            self._until = self._now() + wait_s

    def succeeded(self) -> None:
        """Forget all failures."""
        self.failures = 0
        self._until = 0.0


RETRY_S = 1.0
LONGEST_RETRY_S = 60.0


class Reconnect:
    """When to reopen a held line: ever later while that fails, and at a random moment.

    `at` is on the same clock as `now`.
    """

    def __init__(self, now: float) -> None:
        self._wait_s = 0.0
        self.soon(now)

    def soon(self, now: float) -> None:
        """Reopen in about a second."""
        self.at = now + RETRY_S * _jitter()

    def attempted(self, now: float) -> None:
        """Double the wait before the next attempt."""
        self._wait_s = min(max(RETRY_S, 2 * self._wait_s), LONGEST_RETRY_S)
        self.at = now + self._wait_s * _jitter()

    def succeeded(self) -> None:
        """Reset the wait to its first value."""
        self._wait_s = 0.0


def _jitter() -> float:
    return random.uniform(0.5, 1.5)  # noqa: S311 - no secret


YOUNG_S = 120.0
WITHIN_S = 600.0
CLOSINGS = 3
FIRST_S = 600.0
LONGEST_S = 86_400.0
# A line that lived this long was tolerated by the device.
BORNE_S = 3600.0
# Lines that end this close together were cut by the network.
TOGETHER_S = 3.0
REMEMBERED_LOSSES = 64


class Losses:
    """The lines of all devices that ended recently."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, str]] = deque(maxlen=REMEMBERED_LOSSES)

    def note(self, now: float, device_id: str) -> None:
        """Note that the line to a device ended."""
        self._recent.append((now, device_id))

    def others(self, moment: float, device_id: str) -> bool:
        """Whether the line to another device ended at about that moment."""
        return any(who != device_id and abs(at - moment) < TOGETHER_S for at, who in self._recent)


@dataclass
class Suspension:
    """Counts how often a device closed a young line, for `push = "auto"`; all times in seconds.

    Three times within ten minutes suspend push for ten minutes, and each further suspension is
    twice as long, up to a day. A line that lived for an hour resets that. Each closing is judged a
    moment later, once it is clear whether other lines were cut as well.
    """

    first_s: float = FIRST_S
    until: float = 0.0
    _next_s: float = 0.0
    _closings: list[float] = field(default_factory=list)
    _unjudged: tuple[float, float] | None = None

    def active(self, now: float) -> bool:
        """Whether push is suspended now."""
        return now < self.until

    def note(self, now: float, lived_s: float) -> bool:
        """Record that the device closed a line; return whether that is still to be judged."""
        if lived_s >= YOUNG_S:
            self.closed(now, lived_s)
            return False
        self._unjudged = now, lived_s
        return True

    def judge(self, now: float, others: Callable[[float], bool], *, at_once: bool = False) -> bool:
        """Count a recorded closing unless `others` were cut; return whether that suspends push."""
        if self._unjudged is None:
            return False
        closed_at, lived_s = self._unjudged
        if now - closed_at < TOGETHER_S and not at_once:
            return False
        self._unjudged = None
        return not others(closed_at) and self.closed(now, lived_s)

    def closed(self, now: float, lived_s: float) -> bool:
        """Count a closed line; return whether that suspends push."""
        if lived_s >= BORNE_S:
            self._next_s = 0.0
        if lived_s >= YOUNG_S:
            return False
        self._closings = [at for at in self._closings if now - at < WITHIN_S] + [now]
        if len(self._closings) < CLOSINGS:
            return False
        self._closings.clear()
        self._next_s = min(2 * self._next_s or self.first_s, LONGEST_S)
        self.until = now + self._next_s
        return True
