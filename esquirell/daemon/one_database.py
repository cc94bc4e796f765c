"""All workers on one Redis store into one database: the meters are shared out among them."""

from collections.abc import Callable
from pathlib import Path

from esquirell.daemon.lock import RedisClaim
from esquirell.runtime.machine import Machine
from esquirell.runtime.root import Runtime
from esquirell.runtime.shared import LEASE_S, Lease

# A database server may have several names, so all servers count as the same one.
SERVER = "server"
# By then what the same database was known by is forgotten: its disk was plugged in again, or the
# settings of a service that was killed name another one by now.
DOUBTFUL_S = LEASE_S + 5.0
ANOTHER_DATABASE = (
    "a worker with another database uses this Redis, so that each database gets the readings of "
    "some meters only: give both the same database.url, or one of them another number at the end "
    "of redis.url, such as /1"
)


def identity(file: Path | None, boot: str) -> str | None:
    """Return what workers with the same database have in common; None while its folder is gone.

    `file` is that of SQLite, `boot` the id of this start of the machine, which its containers share
    as they share the number of a folder. The folder stays when the file is replaced.
    """
    if file is None:
        return SERVER
    try:
        found = file.parent.stat()
    except OSError:
        return None
    return f"{boot} {found.st_dev:x}:{found.st_ino:x} {file.name}"


def claim_of_workers(runtime: Runtime) -> RedisClaim:
    """Return the claim on Redis shared by all workers with this worker's database."""
    file, boot = runtime.storage.database.file, Machine().boot
    leases = leases_of(
        lambda: identity(file, boot),
        lambda owner: runtime.shared.lease("database", owner, quiet=True),
    )
    return RedisClaim(leases, lambda _: ANOTHER_DATABASE, DOUBTFUL_S)


def leases_of(
    find: Callable[[], str | None], make: Callable[[str], Lease]
) -> Callable[[], Lease | None]:
    """Return a function that returns the lease of the identity found now; None if there is none."""
    known: dict[str, Lease] = {}

    def lease() -> Lease | None:
        owner = find()
        return known.setdefault(owner, make(owner)) if owner else None

    return lease
