"""Remote control: how a worker answers requests to cancel or limit a task.

Celery's own commands report success even where the pool can't do it.
"""

import logging
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.concurrency.base import BasePool
from celery.platforms import signals
from celery.utils.functional import maybe_list
from celery.worker import state as tasks
from celery.worker.consumer import Consumer
from celery.worker.control import Panel, control_command, inspect_command
from celery.worker.request import Request

from esquirell.celery import app
from esquirell.daemon.celery_worker import OwnConsumer
from esquirell.daemon.threads import MOST_PLACES, ThreadRequest
from esquirell.domain.errors import UnavailableError
from esquirell.runtime.root import current

log = logging.getLogger(__name__)

Reply = dict[str, Any]

WAITS = "the task is cancelled: it was waiting, and will not run"
NOT_HERE = "this worker does not have the task, and will discard it if it arrives"
RUNS = "the task is already running and goes on: terminate ends it"
ENDS = "the task is cancelled: it ends at its next step"
CAN_NOT = (
    "the task runs in a thread, which can't be killed, and has not checked whether it was "
    "cancelled: it goes on. A task that calls end_if_cancelled can be cancelled, as can any in a "
    "worker with --pool prefork"
)
KILLED = "the task was killed with the process that ran it"
NO_LIMITS = "threads have no time limits: use esquirell worker --pool prefork"
NO_SCALING = "this pool does not change its size by itself"
NO_RESTART = "this pool is not restarted on request: restart the worker"
ALWAYS = "what schedules and commands send is taken as long as this worker runs: stop the worker"

_grow = Panel.data["pool_grow"]
_shrink = Panel.data["pool_shrink"]
_cancel_consumer = Panel.data["cancel_consumer"]
_active_queues = Panel.data["active_queues"]


def revoke(
    state: Any,  # noqa: ANN401 - Celery's
    task_id: str | list[str],
    terminate: bool = False,
    signal: str | None = None,
    **_: object,
) -> Reply:
    """Cancel tasks by their ids; `terminate` includes running ones."""
    pool: BasePool = state.consumer.pool
    replies = [
        _revoke(id_, pool, signal or "SIGTERM", ends=terminate) for id_ in maybe_list(task_id)
    ]
    return next((reply for reply in replies if reply != {"ok": NOT_HERE}), {"ok": NOT_HERE})


def _revoke(task_id: str, pool: BasePool, signal: str, *, ends: bool) -> Reply:
    request: Request | None = tasks.requests.get(task_id)
    runs = request in tasks.active_requests
    if runs and not ends:
        return {"error": RUNS}
    if runs and isinstance(request, ThreadRequest) and not request.looks:
        return {"error": CAN_NOT}
    _remember(task_id)
    if request is None:
        return {"ok": NOT_HERE}
    if not runs:
        return {"ok": WAITS, "known": True}
    request.terminate(pool, signal=signals.signum(signal))
    return {"ok": ENDS if isinstance(request, ThreadRequest) else KILLED, "known": True}


def _remember(task_id: str) -> None:
    """Cancel a task, here and for workers that start later."""
    tasks.revoked.add(task_id)
    try:
        current(app).shared.revoked.add(task_id)
    except UnavailableError as error:
        log.warning("a cancelled task may run if its worker is restarted: %s", error)


class RestoreRevoked(bootsteps.StartStopStep):
    """Restores the cancelled tasks on every connection to Redis, before any task arrives."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Consumer) -> None:
        """Load the tasks that were revoked while this worker was not connected."""
        del parent
        try:
            tasks.revoked.update(current(app).shared.revoked.ids())
        except UnavailableError as error:
            log.debug("Redis is unreachable again, which restarts this: %s", error)


class TaskEventsForFlower(bootsteps.StartStopStep):
    """Sends task events from the first task on if Flower runs; otherwise once it asks for them."""

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, parent: Consumer) -> None:
        """Check whether Flower runs."""
        try:
            listens = current(app).shared.presence.count("flower") > 0
        except UnavailableError as error:
            log.debug("Redis is unreachable again, which restarts this: %s", error)
            return
        groups = parent.event_dispatcher.groups  # type: ignore[attr-defined]  # untyped
        if listens and groups:
            groups.add("task")


def pool_grow(state: Any, n: int = 1, **_: object) -> Reply:  # noqa: ANN401 - Celery's
    """Add slots to the pool."""
    return _refusal(state.consumer.pool, n) or dict(_grow(state, n))


def pool_shrink(state: Any, n: int = 1, **_: object) -> Reply:  # noqa: ANN401 - Celery's
    """Remove slots from the pool."""
    try:
        return _refusal(state.consumer.pool, -n) or dict(_shrink(state, n))
    except ValueError:  # how billiard reports that all processes are busy
        places = state.consumer.pool.num_processes
        return {"error": f"processes that are busy are not ended: the pool has {places} now"}


def cancel_consumer(state: Any, queue: str, **_: object) -> Reply:  # noqa: ANN401 - Celery's
    """Take nothing more from a queue, unless it is one of ours."""
    return (
        {"error": ALWAYS} if queue in OwnConsumer.queues else dict(_cancel_consumer(state, queue))
    )


def active_queues(state: Any, **_: object) -> list[Reply]:  # noqa: ANN401 - Celery's
    """List all queues that are taken from, also those outside Celery's own consumer."""
    ours = [state.app.amqp.queues[name] for name in OwnConsumer.queues]
    return [*_active_queues(state), *(dict(queue.as_dict(recurse=True)) for queue in ours)]


def _refusal(pool: BasePool, change: int) -> Reply | None:
    size = pool.num_processes + change
    if not 1 <= size <= MOST_PLACES:
        return {"error": f"a pool has 1 to {MOST_PLACES} places, {size} is not possible"}
    return None


def take_over(*, threads: bool) -> None:
    """Replace Celery's own remote-control commands in this process."""
    control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")(revoke)
    control_command(name="pool_grow", args=[("n", int)], signature="[N=1]")(pool_grow)
    control_command(name="pool_shrink", args=[("n", int)], signature="[N=1]")(pool_shrink)
    control_command(name="cancel_consumer", args=[("queue", str)], signature="<queue>")(
        cancel_consumer
    )
    inspect_command(name="active_queues")(active_queues)
    refused = {"autoscale": NO_SCALING, "pool_restart": NO_RESTART}
    for name, sentence in (refused | ({"time_limit": NO_LIMITS} if threads else {})).items():
        control_command(name=name)(_refuse(sentence))


def _refuse(sentence: str) -> Callable[..., Reply]:
    def refuse(state: Any, **_: object) -> Reply:  # noqa: ANN401 - Celery's
        """Refuse, with the reason."""
        del state
        return {"error": sentence}

    return refuse
