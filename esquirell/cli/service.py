"""The service that may be running, here or elsewhere, and work done through it."""

from collections.abc import Mapping
from typing import Any

from esquirell.daemon.lock import RunLock, lock_of
from esquirell.domain.command import Answer, CommandRecord
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.domain.schedule import long_task_name
from esquirell.runtime import Runtime

ANSWER_LIMIT_S = 60.0


def runs_here(runtime: Runtime) -> bool:
    """Tell whether an `esquirell run` of this machine uses the database."""
    return RunLock(lock_of(runtime.settings)).held()


def works(runtime: Runtime) -> bool:
    """Tell whether a service reads the meters: then they are asked through it.

    Without Redis no worker can be reached, so that one elsewhere counts as absent.
    """
    if runs_here(runtime):
        return True
    try:
        return "worker" in runtime.presence.roles()
    except UnavailableError:
        return False


def prepare_alone(runtime: Runtime, *, stores: bool) -> None:
    """Prepare for reading meters without a service. Raises ConfigError or UnavailableError."""
    try:
        runtime.prepare()
    except UnavailableError:
        # A database that is away only matters to what is to be stored.
        if stores:
            raise


def submit(runtime: Runtime, command: str, task: str, request: Mapping[str, Any]) -> CommandRecord:
    """Hand work to the service. Raises UnavailableError."""
    try:
        return runtime.jobs.submit("cli", command, long_task_name(task), request)
    except UnavailableError as error:
        raise UnavailableError(f"a service runs, but it can't be asked: {error}") from error


def answer_to(runtime: Runtime, record: CommandRecord) -> Answer:
    """Wait for the end of that work. Raises CommandError (`timeout`) or UnavailableError."""
    return runtime.jobs.wait(record.id, ANSWER_LIMIT_S)


def failure(answer: Answer) -> CommandError:
    """Make an error of an answer that is one."""
    return CommandError(answer.code or "internal", answer.error or "the service gave no reason")
