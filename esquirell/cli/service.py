"""The service that may be running, here or elsewhere, and work done through it."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from esquirell.cli.output import say
from esquirell.daemon.lock import RunLock, lock_of
from esquirell.domain.command import Answer, Request
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.domain.tasks import HeldTask
from esquirell.runtime.root import Runtime

SAY_AFTER_S = 2.0
SAY_AGAIN_S = 60.0


def runs_here(runtime: Runtime) -> bool:
    """Return whether an `esquirell run` on this machine uses the database."""
    return RunLock(lock_of(runtime.settings)).held()


def has_begun(runtime: Runtime) -> bool:
    """Return whether the `esquirell run` on this machine has begun to work."""
    return RunLock(lock_of(runtime.settings)).is_up()


def works(runtime: Runtime) -> bool:
    """Return whether a service reads the meters: then they are read through it.

    Without Redis no worker can be reached, so one elsewhere counts as absent.
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
        # An unreachable database only matters if something is to be stored.
        if stores:
            raise


def ask(runtime: Runtime, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a command as if it came over MQTT; return the data of its answer.

    Raises CommandError with the code and sentence of the answer.
    """
    answer = runtime.commands.handle(Request("cli", command, data))
    if answer.status == "error":
        raise failure(answer)
    return answer.data


def submit(runtime: Runtime, command: str, data: Mapping[str, Any]) -> str:
    """Have a worker do long work; return the id of its task. Raises CommandError."""
    return str(ask(runtime, command, data)["task_id"])


def answer_to(runtime: Runtime, task_id: str) -> Answer:
    """Wait for the end of that work, however long it takes, and report on stderr meanwhile.

    Raises CommandError (`timeout`) when its worker is gone, and UnavailableError.
    """
    try:
        return runtime.jobs.wait(task_id, Waiting(partial(_check_here, runtime)).say)
    except KeyboardInterrupt:
        sentence = f"no longer waiting; task {task_id} goes on; esquirell log will show its result"
        raise CommandError("cancelled", sentence) from None


class Waiting:
    """Shows on stderr the state of the task being waited for."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._said = ""
        self._say_at = time.monotonic() + SAY_AFTER_S

    def say(self, held: HeldTask | None) -> None:
        """Report after some seconds, at each change, and once a minute.

        Raises what `check` raises when no worker holds the task.
        """
        if held is None:
            self._check()
        state = _state(held)
        if time.monotonic() < self._say_at and self._said in ("", state):
            return
        since = held.running_since if held else None
        age = f", for {(datetime.now(UTC) - since).total_seconds():.0f} s so far" if since else ""
        say(f"{state}{age} (Ctrl-C stops waiting, not the task)", err=True)
        self._said, self._say_at = state, time.monotonic() + SAY_AGAIN_S


def _check_here(runtime: Runtime) -> None:
    """Raise CommandError (`timeout`) if the service that runs our Redis has ended."""
    if runtime.settings.redis.embedded and not runs_here(runtime):
        raise CommandError("timeout", "the service ended before the task: see its log")


def _state(held: HeldTask | None) -> str:
    if held is None:
        return "waiting for a worker to take the task"
    return f"the task {'runs' if held.running_since else 'waits in the worker'} on {held.worker}"


def finish(runtime: Runtime, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have a worker do long work; return its result. Raises CommandError."""
    if not works(runtime):
        raise CommandError(
            "unavailable", "no service is running that could do this: start esquirell run"
        )
    answer = answer_to(runtime, submit(runtime, command, data))
    if answer.status == "error":
        raise failure(answer)
    return answer.data


def failure(answer: Answer) -> CommandError:
    """Return the error that an unsuccessful answer reports."""
    return CommandError(answer.code or "internal", answer.error or "the service gave no reason")
