"""What a process needs before it takes up its role: tables, schedules, the database itself."""

import logging
import threading
from collections.abc import Iterator, Sequence

from esquirell.daemon.lock import claim
from esquirell.daemon.notify import still_starting
from esquirell.daemon.service_name import persistent_name
from esquirell.daemon.signals import START
from esquirell.domain.errors import CommandError, ConfigError, UnavailableError
from esquirell.domain.schedule import Schedule
from esquirell.domain.tasks import registry
from esquirell.runtime.configuration import refusals
from esquirell.runtime.root import Runtime
from esquirell.settings.state_files import INSTANCE
from esquirell.tasks import load_own_tasks

log = logging.getLogger(__name__)

DATABASE_RETRY_S = 5.0
# Generous: a retry plus an attempt that finds a host unreachable.
DATABASE_LIMIT_S = 120


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
            if runtime.place.is_there():
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
