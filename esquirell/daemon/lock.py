"""Locks on files, which end with their process, however it ends."""

import fcntl
import logging
import os
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

from esquirell import forks
from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.settings import Settings, private_files
from esquirell.settings.state_files import is_there
from esquirell.settings.urls import sqlite_file

log = logging.getLogger(__name__)

DIRECTORY_LOCK = "run.lock"

TRIES = 3
PAUSE_S = 0.05
UP = b"up\n"


class AlreadyRunningError(EsquirellError):
    """Another `esquirell run` uses this database."""


class RunLock:
    """An exclusive lock on a file; the kernel frees it when the process is gone.

    `what` is what it stands for, as in "another service uses this database". The file says whether
    the holder has begun to work. Threads may use it at the same time.
    """

    _FLAGS = os.O_RDWR | os.O_CREAT

    def __init__(self, path: Path, what: str = "this database") -> None:
        self._path = path
        self._what = what
        self._descriptor: int | None = None
        self._is_up = False
        # The number of a closed descriptor may be another file's at once.
        self._changing = threading.Lock()

    def take(self) -> None:
        """Take the lock. Raises AlreadyRunningError, or ConfigError for an unusable file."""
        with self._changing:
            self._take()

    def _take(self) -> None:
        descriptor = self._open()
        for _ in range(TRIES):
            if _lock(descriptor, fcntl.LOCK_EX):
                forks.hold(descriptor)
                self._descriptor = descriptor
                self._note()
                return
            # A check for a running service holds it for an instant.
            time.sleep(PAUSE_S)
        os.close(descriptor)
        raise AlreadyRunningError(
            f"another service uses {self._what} already (lock {self._path}); stop it "
            "first, or give this one another database.url and state_dir"
        )

    def held(self) -> bool:
        """Return whether some process holds the lock."""
        if not self._path.exists():
            return False
        descriptor = self._open()
        try:
            # Shared: two simultaneous checks do not mistake each other for a service.
            return not _lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def note_up(self) -> None:
        """Note in the file that the holder has begun to work; never raises."""
        with self._changing:
            self._is_up = True
            self._note()

    def is_up(self) -> bool:
        """Return whether the last holder has begun to work."""
        try:
            return self._path.read_bytes() == UP
        except OSError:
            return False

    def _note(self) -> None:
        # On a full disk or a failed one it works as well.
        with suppress(OSError):
            if self._descriptor is not None and forks.holds(self._descriptor):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, UP if self._is_up else b"", 0)

    def keep(self) -> None:
        """Take the lock again if its file was replaced or deleted, as by a restored copy.

        While its directory is gone nothing is done. Raises AlreadyRunningError if another process
        holds the new one, or ConfigError.
        """
        with self._changing:
            before = self._descriptor
            if before is None or self._is_there(before) or not is_there(self._path.parent):
                return
            self._take()
            forks.close(before)

    def _is_there(self, descriptor: int) -> bool:
        """Whether the file that is locked is the one at the path."""
        try:
            found = self._path.stat()
        except OSError:
            return False
        return os.path.samestat(os.fstat(descriptor), found)

    def release(self) -> None:
        with self._changing:
            if self._descriptor is not None:
                forks.close(self._descriptor)
                self._descriptor = None

    def _open(self) -> int:
        try:
            return os.open(self._path, self._FLAGS | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(private_files.unwritable(self._path, error)) from None


class FolderLock(RunLock):
    """A lock on a folder, which stays when a cleaner deletes the files in it."""

    _FLAGS = os.O_RDONLY | os.O_DIRECTORY


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # NFS and others lock no folders: then the files have to do.
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)
    return True


def lock_of(settings: Settings) -> Path:
    """Return the lock of a database: beside an SQLite file, else in the state directory."""
    file = sqlite_file(settings.database_url)
    return Path(f"{file}.lock") if file else settings.state_dir / DIRECTORY_LOCK
