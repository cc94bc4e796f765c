"""What a service holds alone: its database, its state directory and its Redis."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from esquirell.daemon.lock import DIRECTORY_LOCK, AlreadyRunningError, FolderLock, RunLock, lock_of
from esquirell.daemon.signals import START
from esquirell.domain.errors import UnavailableError
from esquirell.runtime.root import Runtime
from esquirell.runtime.shared import LEASE_S, Lease
from esquirell.settings import Settings

log = logging.getLogger(__name__)

REDIS_PAUSE_S = 1.0
RIVAL = (
    "another esquirell run{database} uses this Redis, so that each gets the readings of some "
    "meters only: give one of them another number at the end of redis.url, such as /1"
)


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
        self._locks = [FolderLock(settings.state_dir, "this state directory"), RunLock(database)]
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
        """Return a sentence for each other service that uses this Redis for another database."""
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
