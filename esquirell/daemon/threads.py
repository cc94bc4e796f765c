"""Celery's thread pool, extended to change its size and to release cancelled tasks.

A thread can't be killed: a task that runs in one ends when it checks and sees that it was
cancelled. Celery would report at once that it has ended, whether it checks or not. So a task may
hold its thread for ever, and polls have threads of their own.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from celery.concurrency.base import BasePool, apply_target
from celery.concurrency.thread import TaskPool
from celery.exceptions import TaskRevokedError
from celery.worker.request import Request
from celery.worker.state import reserved_requests, task_ready
from kombu.common import QoS

from esquirell.daemon import records
from esquirell.domain.schedule import FETCH, short_task_name
from esquirell.domain.tasks import COMMAND_HEADER, SCHEDULE_HEADER

MOST_PLACES = 64


class ThreadPool(TaskPool):
    """A pool of threads whose size can be changed; as many more are for polls alone."""

    limit: int
    executor: ThreadPoolExecutor

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's
        super().__init__(*args, **kwargs)
        self._polls = ThreadPoolExecutor(max_workers=self.limit)

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
        pool = self._polls if request.is_poll or request.overlaps else self.executor
        return pool.submit(apply_target, target, args, kwargs, callback, accept_callback)

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
        self.executor.shutdown(wait=False)
        self.limit, self.executor = size, ThreadPoolExecutor(max_workers=size)


class ThreadRequest(Request):
    """A task taken from the queue, to run in a thread.

    `looks` is set once the task has checked whether it was cancelled.
    """

    looks = False
    overlaps = False
    _end_wait: Callable[[], object] = staticmethod(lambda: None)

    @property
    def is_poll(self) -> bool:
        """Whether it reads meters, which take turns by themselves."""
        return bool(short_task_name(self.name) == FETCH)

    def await_thread(self, window: QoS) -> None:
        """Prepare to wait for a thread, without taking one of the few places for messages.

        They would soon be full of tasks that wait for others that never end, and no poll would be
        taken from its queue. Only what schedules and commands send waits beside them, as a user's
        own code may send any number.
        """
        sent = self.request_dict.keys() & {SCHEDULE_HEADER, COMMAND_HEADER}
        self.overlaps = self._is_overlapping()
        if sent and not self.is_poll and not self.overlaps:
            window.increment_eventually()
            self._end_wait = window.decrement_eventually

    def on_accepted(self, pid: str, time_accepted: float) -> None:
        """Start, unless the task was cancelled or has expired while it waited for a thread.

        Nor does it start if an earlier run of its schedule went on when it came. Raises
        TaskRevokedError, which keeps the pool from running it.
        """
        self._end_wait()
        if self.revoked():
            raise TaskRevokedError(self.id)
        if self.overlaps:
            task_ready(self)
            self.acknowledge()
            records.on_overlap(self.request_dict)
            raise TaskRevokedError(self.id)
        super().on_accepted(pid, time_accepted)

    def _is_overlapping(self) -> bool:
        """Whether another run of its schedule goes on here, or waits.

        A retry continues a run that has begun, whose work would be lost without it.
        """
        schedule = self.request_dict.get(SCHEDULE_HEADER)
        if (
            not schedule
            or self.is_poll
            or COMMAND_HEADER in self.request_dict
            or self.request_dict.get("retries")
        ):
            return False
        others = [request for request in list(reserved_requests) if request.id != self.id]
        return any(request.request_dict.get(SCHEDULE_HEADER) == schedule for request in others)

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
