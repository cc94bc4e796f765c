"""The service that may be running, here or elsewhere, and work done through it."""

from collections.abc import Mapping
from typing import Any

from esquirell.daemon.lock import RunLock, lock_of
from esquirell.domain.command import Answer, Request
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.runtime.root import Runtime

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
        return "worker" in runtime.shared.presence.roles()
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


def ask(runtime: Runtime, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a command as if it came over MQTT, and give the data of its answer.

    Raises CommandError with the code and sentence of the answer.
    """
    answer = runtime.commands.handle(Request("cli", command, data))
    if answer.status == "error":
        raise failure(answer)
    return answer.data


def submit(runtime: Runtime, command: str, data: Mapping[str, Any]) -> str:
    """Let a worker do long work, and give its task's id. Raises CommandError."""
    return str(ask(runtime, command, data)["task_id"])


def answer_to(runtime: Runtime, task_id: str) -> Answer:
    """Wait for the end of that work. Raises CommandError (`timeout`) or UnavailableError."""
    return runtime.jobs.wait(task_id, ANSWER_LIMIT_S)


def finish(runtime: Runtime, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let a worker do long work, and give what came of it. Raises CommandError."""
    if not works(runtime):
        raise CommandError("unavailable", "no service runs that could do this: esquirell run")
    answer = answer_to(runtime, submit(runtime, command, data))
    if answer.status == "error":
        raise failure(answer)
    return answer.data


def failure(answer: Answer) -> CommandError:
    """Make an error of an answer that is one."""
    return CommandError(answer.code or "internal", answer.error or "the service gave no reason")
