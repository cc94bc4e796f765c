"""Celery's thread pool, extended to change its size and to release cancelled tasks.

A thread can't be killed: a task that runs in one ends when it checks and sees that it was
cancelled. Celery would report at once that it has ended, whether it checks or not. So a task may
hold its thread for ever, and polls have threads of their own.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, cast

from celery.concurrency.base import BasePool, apply_target
from celery.concurrency.thread import TaskPool
from celery.exceptions import TaskRevokedError
from celery.worker.request import Request
from celery.worker.state import revoked, task_ready
from kombu.utils.imports import symbol_by_name

from esquirell.daemon import records
from esquirell.domain.schedule import READS, short_task_name
from esquirell.domain.tasks import COMMAND_HEADER, SCHEDULE_HEADER

MOST_PLACES = 64
# After that another worker may have a thread for it.
PATIENCE_S = 3.0


class ThreadPool(TaskPool):
    """A pool of threads whose size can be changed; as many more are for polls alone."""

    limit: int
    executor: ThreadPoolExecutor

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's
        super().__init__(*args, **kwargs)
        self._polls = ThreadPoolExecutor(max_workers=self.limit)
        self._runs = Runs()

    def on_apply(
        self,
        target: Callable[..., object],
        args: Any = None,  # noqa: ANN401 - Celery's
        kwargs: Any = None,  # noqa: ANN401 - Celery's
        callback: Callable[..., object] | None = None,
        accept_callback: Any = None,  # noqa: ANN401 - Celery's
        **_: object,
    ) -> Any:  # noqa: ANN401 - Celery's
        """Have a thread run a task; those for polls also leave out what is to be skipped."""
        request = cast("ThreadRequest", accept_callback.__self__)
        request.runs, request.waits_since = self._runs, time.monotonic()
        is_brief = request.is_poll or not self._runs.enter(request)
        pool = self._polls if is_brief else self.executor

        def run() -> None:
            try:
                apply_target(target, args, kwargs, callback, accept_callback)
            finally:
                self._runs.leave(request)

        request.place = pool.submit(run)
        return request.place

    @property
    def keeps_waiting(self) -> bool:
        """Whether there are runs that have waited long for a thread."""
        return bool(self._runs.late())

    def take_back(self) -> list["ThreadRequest"]:
        """Return the runs that have waited long for a thread, and let them wait no more."""
        found = [run for run in self._runs.late() if run.place.cancel()]
        for run in found:
            self._runs.leave(run)
        return found

    def on_stop(self) -> None:
        """Wait for the tasks that run; those that wait are returned."""
        self._polls.shutdown(cancel_futures=True)
        super().on_stop()

    def grow(self, n: int = 1) -> None:
        """Add threads."""
        self._resize(self.limit + n)

    def shrink(self, n: int = 1) -> None:
        """Remove threads, once the tasks of the current ones have ended."""
        self._resize(self.limit - n)

    def _resize(self, size: int) -> None:
        # The current threads finish their work.
        for executor in (self.executor, self._polls):
            executor.shutdown(wait=False)
        self.limit = size
        self.executor, self._polls = (ThreadPoolExecutor(max_workers=size) for _ in range(2))


class ThreadRequest(Request):
    """A task taken from the queue, to run in a thread.

    `looks` is set once the task has checked whether it was cancelled. It has waited for a thread
    since `waits_since` (monotonic, in s), and `place` is its turn.
    """

    looks = False
    runs: "Runs"
    waits_since: float
    place: Future[None]

    @property
    def is_poll(self) -> bool:
        """Whether it reads meters, which take turns by themselves."""
        return short_task_name(str(self.request_dict["task"])) in READS

    @property
    def schedule(self) -> str | None:
        """The schedule that this is a run of."""
        return self.request_dict.get(SCHEDULE_HEADER)

    @property
    def may_overlap(self) -> bool:
        """Whether another run of its schedule may go on meanwhile.

        A retry continues a run that has begun, whose work would be lost without it.
        """
        headers = self.request_dict
        asked_for = COMMAND_HEADER in headers or bool(headers.get("retries"))
        return self.is_poll or not self.schedule or asked_for

    @property
    def is_discarded(self) -> bool:
        """Whether it was cancelled or has expired, and will not run."""
        return self.id in revoked or bool(self.maybe_expire())

    def on_accepted(self, pid: str, time_accepted: float) -> None:
        """Start, unless the task was cancelled or has expired while it waited for a thread.

        Nor does it start while another run of its schedule goes on. Raises TaskRevokedError, which
        keeps the pool from running it.
        """
        if self.revoked():
            raise TaskRevokedError(self.id)
        if not self.runs.begin(self):
            task_ready(self)
            self.acknowledge()
            records.on_overlap(self.request_dict)
            raise TaskRevokedError(self.id)
        super().on_accepted(pid, time_accepted)

    def acknowledge(self) -> None:
        """Acknowledge the message, here if nothing is to be sent for that.

        Celery has the worker's main loop do it, which it wakes up for each task.
        """
        message: Any = self.message
        # Over Sentinel the channel is kombu's, which leaves it to the loop.
        possible = getattr(message.channel.qos, "acknowledges_here", lambda _: False)
        if not self.acknowledged and possible(message.delivery_tag):
            message.ack()
            self.acknowledged = True
        super().acknowledge()

    def terminate(self, pool: BasePool, signal: object = None) -> None:
        """Leave it to the task: if it ends because of this, it reports that itself."""

    def cancel(self, *_: object, **__: object) -> None:
        """Keep the task running after Redis is lost: its readings are stored all the same."""


def run_in_threads(task: Any) -> None:  # noqa: ANN401 - its attribute has the wrong type
    """Let the requests of a task be ours; a class that its own base class names goes on top."""
    own = symbol_by_name(task.Request)
    ours = issubclass(ThreadRequest, own)
    task.Request = ThreadRequest if ours else type(own.__name__, (own, ThreadRequest), {})


class Runs:
    """The tasks that wait for a thread or have one; of a schedule's runs one at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._begun: dict[ThreadRequest, bool] = {}

    def enter(self, run: ThreadRequest) -> bool:
        """Let a run wait for a thread, unless an earlier one waits or goes on."""
        with self._lock:
            waits = run.may_overlap or not any(
                begun or not other.is_discarded for other, begun in self._others(run)
            )
            if waits:
                self._begun[run] = False
            return waits

    def begin(self, run: ThreadRequest) -> bool:
        """Let a run begin, unless it was not to wait, or another one has begun meanwhile."""
        with self._lock:
            begins = run.may_overlap or (
                run in self._begun and not any(begun for _, begun in self._others(run))
            )
            if begins:
                self._begun[run] = True
            return begins

    def leave(self, run: ThreadRequest) -> None:
        """Forget a run, which has ended."""
        with self._lock:
            self._begun.pop(run, None)

    def late(self) -> list[ThreadRequest]:
        """Return the runs that have waited long for a thread."""
        since = time.monotonic() - PATIENCE_S
        with self._lock:
            return [
                run for run, begun in self._begun.items() if not begun and run.waits_since < since
            ]

    def _others(self, run: ThreadRequest) -> list[tuple[ThreadRequest, bool]]:
        return [
            (other, begun)
            for other, begun in self._begun.items()
            if other is not run and other.schedule == run.schedule
        ]
