"""One service per database: a lock that ends with its process, however it ends."""

import fcntl
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from esquirell import forks
from esquirell.daemon.signals import START
from esquirell.domain.errors import ConfigError, EsquirellError, UnavailableError
from esquirell.runtime.root import Runtime
from esquirell.runtime.shared import LEASE_S, Lease
from esquirell.settings import Settings, private_files
from esquirell.settings.state_files import is_there
from esquirell.settings.urls import sqlite_file

log = logging.getLogger(__name__)

DIRECTORY_LOCK = "run.lock"

TRIES = 3
PAUSE_S = 0.05
UP = b"up\n"
REDIS_PAUSE_S = 1.0
RIVAL = (
    "another esquirell run{database} uses this Redis, so that each gets the readings of some "
    "meters only: give one of them another number at the end of redis.url, such as /1"
)


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


class _FolderLock(RunLock):
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


def claim(runtime: Runtime) -> None:
    """Refuse to share a database that is not a file with another service, on any machine.

    Raises AlreadyRunningError, or UnavailableError.
    """
    if not runtime.upkeep.claim.hold():
        where = runtime.storage.database.describe()
        raise AlreadyRunningError(
            f"another service uses this database already ({where}); "
            "stop it first, give this one another database.url, or start esquirell worker instead"
        )


def redis_owner(service: str, file: Path | None, database: str) -> str:
    """Return what a service with this `database`, named without secrets, claims Redis by.

    Of copies of a state directory in two containers only the database's `file` differs.
    """
    return f"{service} {_file_id(file)} {database}"


def _file_id(file: Path | None) -> str:
    """Return what distinguishes a file from its copies on this machine; "-" if there is none."""
    try:
        found = file.stat() if file else None
    except OSError:
        found = None
    return f"{found.st_dev:x}:{found.st_ino:x}" if found else "-"


def rival_service(owner: str | None) -> str:
    """Return what is wrong when this owner has the claim; an older version names no database."""
    _, _, database = (owner or "").partition(" ")[2].partition(" ")
    return RIVAL.format(database=f", with the database {database}," if database else "")


class RedisClaim:
    """Keeps one whole service per Redis: two share out the meters, each with its own database.

    As when an SD card is copied for a second machine. It is held for some seconds, so that one that
    starts sees one that runs; who runs already goes on in any case, and its `rival` is reported.
    `lease` returns the lease, or None while it is not known whose it would be; `sentence` says what
    is wrong when another owner has it, for `doubtful_s` seconds at least.
    """

    def __init__(
        self,
        lease: Callable[[], Lease | None],
        sentence: Callable[[str | None], str],
        doubtful_s: float = 0.0,
    ) -> None:
        self._lease = lease
        self._sentence = sentence
        self._doubtful_s = doubtful_s
        self._seen_at: float | None = None
        # What is wrong, as a sentence; None without another service.
        self.rival: str | None = None

    def take(self, patience_s: float = LEASE_S + REDIS_PAUSE_S) -> None:
        """Take it, waiting for one that was killed to lose it. Raises AlreadyRunningError.

        While Redis is unreachable nobody can say, and the service starts.
        """
        deadline = time.monotonic() + patience_s
        while rival := self._look():
            if time.monotonic() > deadline:
                raise AlreadyRunningError(f"{rival}, or stop the other one")
            START.check()
            time.sleep(REDIS_PAUSE_S)

    def keep(self) -> None:
        """Renew it; never raises."""
        found, now = self._look(), time.monotonic()
        self._seen_at = self._seen_at or now if found else None
        is_certain = self._seen_at is not None and now - self._seen_at >= self._doubtful_s
        before, self.rival = self.rival, found if is_certain else None
        if self.rival and not before:
            log.error("%s", self.rival)

    def rivals(self) -> tuple[str, ...]:
        """Return what is wrong, if anything is."""
        return (self.rival,) if self.rival else ()

    def release(self) -> None:
        if lease := self._lease():
            lease.release()

    def _look(self) -> str | None:
        """Take or renew it; return what is wrong if another service has it."""
        lease = self._lease()
        try:
            return None if lease is None or lease.hold() else self._sentence(lease.holder())
        except UnavailableError as error:
            log.debug("the claim to Redis is not renewed: %s", error)
            return self.rival


class ServiceLocks:
    """What a whole service holds alone: its database, its state directory, and its Redis.

    In the directory are its name and the socket of its Redis, which a second one would end.
    """

    def __init__(self, settings: Settings) -> None:
        database, directory = lock_of(settings), settings.state_dir / DIRECTORY_LOCK
        # The folder first: one that is refused has then taken no file that was deleted meanwhile.
        self._locks = [_FolderLock(settings.state_dir, "this state directory"), RunLock(database)]
        self._redis: RedisClaim | None = None
        self._workers: RedisClaim | None = None
        if directory != database:
            self._locks.append(RunLock(directory, "this state directory"))

    def take_redis(self, claim: RedisClaim, workers: RedisClaim) -> None:
        """Take a Redis that others may use. Raises AlreadyRunningError.

        `workers` is held with the workers of the same database: others are only reported. As they
        may go on, it is not released, but expires.
        """
        claim.take()
        self._redis, self._workers = claim, workers

    def keep_redis(self) -> None:
        """Renew the claims to Redis."""
        for claim in self._claims():
            claim.keep()

    def rivals(self) -> tuple[str, ...]:
        """Return that others use the same Redis for another database, if some do."""
        return tuple(rival for claim in self._claims() for rival in claim.rivals())

    def _claims(self) -> tuple[RedisClaim, ...]:
        return tuple(claim for claim in (self._redis, self._workers) if claim)

    def take(self) -> None:
        """Take all. Raises AlreadyRunningError, or ConfigError for an unusable file."""
        for lock in self._locks:
            lock.take()

    def note_up(self) -> None:
        """Note in their files that the service has begun to work; never raises."""
        for lock in self._locks:
            lock.note_up()

    def keep(self) -> None:
        """Take locks again whose file was replaced. Raises AlreadyRunningError, or ConfigError."""
        for lock in self._locks:
            lock.keep()

    def release(self) -> None:
        if self._redis:
            self._redis.release()
        for lock in self._locks:
            lock.release()


def lock_of(settings: Settings) -> Path:
    """Return the lock of a database: beside an SQLite file, else in the state directory."""
    file = sqlite_file(settings.database_url)
    return Path(f"{file}.lock") if file else settings.state_dir / DIRECTORY_LOCK
