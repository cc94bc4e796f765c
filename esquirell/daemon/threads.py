"""Celery's thread pool, extended to change its size and to release cancelled tasks.

A thread can't be killed: a task that runs in one ends when it checks and sees that it was
cancelled. Celery would report at once that it has ended, whether it checks or not.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.concurrency.base import BasePool
from celery.concurrency.thread import TaskPool
from celery.exceptions import TaskRevokedError
from celery.worker.request import Request
from celery.worker.state import active_requests, task_ready

from esquirell.daemon import records
from esquirell.domain.schedule import FETCH, short_task_name
from esquirell.domain.tasks import COMMAND_HEADER, SCHEDULE_HEADER

MOST_PLACES = 64


class ThreadPool(TaskPool):
    """A pool of threads whose size can be changed."""

    limit: int
    executor: ThreadPoolExecutor

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

    def on_accepted(self, pid: str, time_accepted: float) -> None:
        """Start, unless the task was cancelled or has expired while it waited for a thread.

        Nor does it start while an earlier run of its schedule goes on, which may never end: soon
        they would hold all threads, and no meter would be read. Raises TaskRevokedError, which
        keeps the pool from running it.
        """
        if self.revoked():
            raise TaskRevokedError(self.id)
        if self._overlaps():
            task_ready(self)
            self.acknowledge()
            records.on_overlap(self.request_dict)
            raise TaskRevokedError(self.id)
        super().on_accepted(pid, time_accepted)

    def _overlaps(self) -> bool:
        """Whether another run of its schedule goes on here; polls take turns by meter.

        A retry continues a run that has begun, whose work would be lost without it.
        """
        schedule = self.request_dict.get(SCHEDULE_HEADER)
        if (
            not schedule
            or short_task_name(self.name) == FETCH
            or COMMAND_HEADER in self.request_dict
            or self.request_dict.get("retries")
        ):
            return False
        others = [one for one in list(active_requests) if one.id != self.id]
        return any(one.request_dict.get(SCHEDULE_HEADER) == schedule for one in others)

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
