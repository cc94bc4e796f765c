"""Remote control: what a worker answers when somebody wants to cancel or to limit a task.

Celery's own commands say that they did it, also where the pool can't.
"""

from collections.abc import Iterable
from typing import Any

from celery.concurrency.base import BasePool
from celery.platforms import signals
from celery.utils.functional import maybe_list
from celery.worker import state as tasks
from celery.worker.control import control_command
from celery.worker.request import Request

from esquirell.daemon.threads import ThreadRequest

Reply = dict[str, Any]

WAITS = "the task is cancelled: it waits, and will not be run"
NOT_HERE = "this worker does not have the task, and will throw it away should it come"
RUNS = "the task runs already and was left to go on: terminate ends it"
ENDS = (
    "the task was asked to end: a fetch does so at its next step, a task of one's own only "
    "if it looks"
)
KILLED = "the task was killed with the process that ran it"
NO_LIMITS = "threads have no time limits: use esquirell worker --pool prefork"


def revoke(
    state: Any,  # noqa: ANN401 - Celery's
    task_id: str | list[str],
    terminate: bool = False,
    signal: str | None = None,
    **_: object,
) -> Reply:
    """Cancel tasks by their ids; `terminate` also those that run."""
    ids: Iterable[str] = maybe_list(task_id)
    tasks.revoked.update(ids)
    replies = [
        _revoke(tasks.requests.get(one), state.consumer.pool, signal or "SIGTERM", ends=terminate)
        for one in ids
    ]
    return next((one for one in replies if one != {"ok": NOT_HERE}), {"ok": NOT_HERE})


def _revoke(request: Request | None, pool: BasePool, signal: str, *, ends: bool) -> Reply:
    if request is None:
        return {"ok": NOT_HERE}
    if request not in tasks.active_requests:
        return {"ok": WAITS, "known": True}
    if not ends:
        return {"error": RUNS}
    request.terminate(pool, signal=signals.signum(signal))
    return {"ok": ENDS if isinstance(request, ThreadRequest) else KILLED, "known": True}


def time_limit(state: Any, **_: object) -> Reply:  # noqa: ANN401 - Celery's
    """Refuse what threads can't keep."""
    del state
    return {"error": NO_LIMITS}


def take_over(*, threads: bool) -> None:
    """Put these commands in the place of Celery's own, for this process."""
    control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")(revoke)
    if threads:
        control_command(name="time_limit")(time_limit)
