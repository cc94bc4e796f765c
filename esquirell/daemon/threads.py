"""Celery's pool of threads, taught to change its size and to let go of cancelled tasks.

A thread can't be killed: a task that runs in one ends when it looks and sees that it was
cancelled. Celery would tell at once that it has ended, whether it looks or not.
"""

from concurrent.futures import ThreadPoolExecutor

from celery.concurrency.base import BasePool
from celery.concurrency.thread import TaskPool
from celery.exceptions import TaskRevokedError
from celery.worker.request import Request

MOST_PLACES = 64


class ThreadPool(TaskPool):
    """A pool of threads whose size can be changed."""

    limit: int
    executor: ThreadPoolExecutor

    def grow(self, n: int = 1) -> None:
        """Add threads."""
        self._resize(self.limit + n)

    def shrink(self, n: int = 1) -> None:
        """Take threads away, from when the tasks of the present ones have ended."""
        self._resize(self.limit - n)

    def _resize(self, size: int) -> None:
        # What the present threads have to do they do to the end.
        self.executor.shutdown(wait=False)
        self.limit, self.executor = size, ThreadPoolExecutor(max_workers=size)


class ThreadRequest(Request):
    """A task taken from the queue, to run in a thread.

    `looks` is set once the task has asked whether it was cancelled.
    """

    looks = False

    def on_accepted(self, pid: str, time_accepted: float) -> None:
        """Begin, unless the task was cancelled or has expired while it waited for a thread.

        Raises TaskRevokedError, which keeps the pool from running it.
        """
        if self.revoked():
            raise TaskRevokedError(self.id)
        super().on_accepted(pid, time_accepted)

    def terminate(self, pool: BasePool, signal: object = None) -> None:
        """Leave it to the task: when it ends because of this, it says so itself."""

    def cancel(self, *_: object, **__: object) -> None:
        """Keep the task running after Redis is lost: what it has read is stored all the same."""
