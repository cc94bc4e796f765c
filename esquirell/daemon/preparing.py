"""What a process needs before it takes up its role: tables, schedules, a database of its own."""

import logging
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from esquirell.daemon.notify import still_starting
from esquirell.daemon.service_locks import RedisClaim, claim
from esquirell.daemon.signals import START
from esquirell.domain.errors import CommandError, ConfigError, UnavailableError
from esquirell.domain.schedule import Schedule
from esquirell.domain.tasks import registry
from esquirell.runtime.configuration import refusals
from esquirell.runtime.machine import Machine
from esquirell.runtime.root import Runtime
from esquirell.runtime.shared import LEASE_S, Lease
from esquirell.settings import private_files
from esquirell.settings.state_files import INSTANCE
from esquirell.tasks import load_own_tasks

log = logging.getLogger(__name__)

DATABASE_RETRY_S = 5.0
# Generous: a retry plus an attempt that finds a host unreachable.
DATABASE_LIMIT_S = 120

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


def prepare(runtime: Runtime, *, schedules: bool, alone: bool = False) -> None:
    """Upgrade the tables, wait for an unreachable database, adopt the schedules.

    Raises ConfigError when waiting would not help, and AlreadyRunningError when the service must be
    `alone` on its database, and is not.
    """
    settings = runtime.settings
    problems = _load_tasks(runtime)
    for problem in registry.problems():
        log.info("%s", problem)
    for refusal in refusals(settings):
        raise ConfigError(refusal)
    if schedules:
        _check_tasks(settings.schedules, strict=not problems)
    said = ""
    while True:
        START.check()
        try:
            runtime.repair_database()
            runtime.prepare()
            if alone:
                claim(runtime)
            if schedules:
                runtime.schedules.adopt(runtime.settings.schedules)
        except UnavailableError as error:
            log.log(
                logging.WARNING if str(error) != said else logging.DEBUG,
                "waiting for the database: %s",
                error,
            )
            said = str(error)
            still_starting(f"waiting for the database: {error}", DATABASE_LIMIT_S)
            threading.Event().wait(DATABASE_RETRY_S)
        else:
            runtime.place.note()
            if runtime.storage.directory.is_there():
                # By this file it recognises its directory when the disk was unplugged and is back.
                persistent_name(settings.state_dir / INSTANCE)
            return


def _load_tasks(runtime: Runtime) -> list[str]:
    """Load the tasks and Celery's settings; return a sentence for each module that fails."""
    problems = load_own_tasks(runtime.settings)
    # Celery reads its settings on first use; of two threads at once, one would get half of them.
    # Not before the modules are loaded: they may wait for this with `on_after_finalize`.
    runtime.app.finalize()
    log.debug("the broker is %s", runtime.app.connection_for_write().as_uri())
    if periodic := runtime.app.conf.beat_schedule:
        log.warning(
            "periodic tasks of Celery are not run (%s): add them with esquirell schedule add",
            ", ".join(periodic),
        )
    return problems


def _check_tasks(schedules: Sequence[Schedule], *, strict: bool) -> None:
    """Reject a schedule whose task does not exist, unless the module that has it may be broken.

    Raises ConfigError.
    """
    for sentence in without_task(schedules):
        if strict:
            raise ConfigError(sentence)
        log.error("%s: it will fail", sentence)


def without_task(schedules: Sequence[Schedule]) -> Iterator[str]:
    """Return a sentence for each schedule whose task does not exist, or takes other arguments."""
    for schedule in schedules:
        try:
            registry.get(schedule.task).check(schedule.kwargs)
        except CommandError as error:
            yield f"schedules.{schedule.name}: {error}"


def persistent_name(file: Path) -> str:
    """Return the name of this service, generated at its first start and kept in `file`."""
    name = uuid.uuid4().hex
    try:
        return uuid.UUID(file.read_text()).hex
    except FileNotFoundError:
        pass
    except (IsADirectoryError, ValueError):
        # As after a power cut.
        with suppress(ConfigError):
            private_files.set_aside(file, "this service has a new name")
    except OSError as error:
        log.warning("%s can't be read: %s", file, error.strerror)
        return name
    try:
        private_files.write({file: name})
    except ConfigError as error:
        # On a full disk: with another name it waits for its lease after the next start.
        log.warning("%s", error)
    return name


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
