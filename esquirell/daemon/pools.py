"""What runs a worker's tasks: threads of one process, or separate processes."""

import contextlib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

from billiard.exceptions import Terminated
from celery import Celery
from celery.apps.worker import Worker
from celery.concurrency.base import BasePool
from celery.signals import worker_process_init, worker_process_shutdown

from esquirell.daemon import remote
from esquirell.daemon.lock import AlreadyRunningError, RunLock
from esquirell.daemon.redis_server import end_with_parent
from esquirell.daemon.threads import ThreadPool, run_in_threads
from esquirell.domain.record import record
from esquirell.runtime.root import Runtime, use
from esquirell.settings.private_files import make_directory

log = logging.getLogger(__name__)

Kind = Literal["threads", "prefork"]

GOODBYE_S = 2.0
MOST_WORKERS = 100
# Flower considers a worker gone after two missing heartbeats. The consumer sends each itself, and
# takes no task meanwhile: with a distant Redis that is seconds.
HEARTBEAT_S = 15


@record
class Pool:
    """The kind of a pool and how many tasks it runs in parallel."""

    kind: Kind
    size: int

    @property
    def forks(self) -> bool:
        """Whether tasks run in separate processes."""
        return self.kind == "prefork"

    @property
    def implementation(self) -> str | type[BasePool]:
        """The pool class for Celery."""
        return ThreadPool if self.kind == "threads" else self.kind

    def prepare(self, app: Celery) -> None:
        """Make Celery report truthfully about cancelled tasks in this pool."""
        remote.take_over(threads=self.kind == "threads")
        for task in app.tasks.values():
            if self.kind == "threads":
                run_in_threads(task)
            if self.kind == "threads" and (task.time_limit or task.soft_time_limit):
                log.warning("the time limit of %s is not kept: %s", task.name, remote.NO_LIMITS)
            # A cancellation need not be logged with a traceback.
            task.throws = (*task.throws, Terminated)


def connect_children(runtime: Runtime) -> None:
    """Set up a runtime of its own in each process of a forking pool, and close it at the end.

    Threads and sockets do not survive a fork.
    """

    def begin(**_: object) -> None:
        end_with_parent()
        runtime.devices.transport.abandon()
        own = runtime_of_child(runtime)
        use(own)
        own.mqtt.connection.start()
        worker_process_shutdown.connect(lambda **_: _end(own), weak=False)

    worker_process_init.connect(begin, weak=False)


def runtime_of_child(runtime: Runtime) -> Runtime:
    """Return the runtime of a process of the pool; its parent reads the meters."""
    own = Runtime(runtime.settings, runtime.app)
    own.polling.queues, own.polling.served = runtime.polling.queues, runtime.polling.served
    own.polling.parent = runtime.instance
    return own


def _end(runtime: Runtime) -> None:
    runtime.polling.close()
    runtime.mqtt.connection.stop(GOODBYE_S)


def pool_of(worker: Worker) -> BasePool:
    """Return the pool of a worker that was started."""
    return cast("BasePool", worker.pool)


@contextmanager
def node_name(role: str, locks: Path) -> Iterator[str]:
    """Return the unique, short name by which Celery and Flower know this process.

    Of several workers on one machine the second is `worker2@machine`.
    """
    make_directory(locks)
    for number in range(1, MOST_WORKERS):
        name = role if number == 1 else f"{role}{number}"
        lock = RunLock(locks / f"{name}.node")
        with contextlib.suppress(AlreadyRunningError):
            lock.take()
            break
    try:
        yield f"{name}@{socket.gethostname()}"
    finally:
        lock.release()
