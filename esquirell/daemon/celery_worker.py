"""Celery's worker: our signals, no output on the terminal, and the parts that start with it."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from celery import bootsteps
from celery.apps.worker import Worker as CeleryWorker
from celery.apps.worker import install_cry_handler  # type: ignore[attr-defined]  # no types
from celery.platforms import EX_OK
from celery.worker import WorkController, state
from celery.worker.request import Request

from esquirell.daemon.threads import ThreadRequest
from esquirell.daemon.watchdog import Watchdog

END = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Worker(CeleryWorker):
    """Ends at a signal once its tasks have ended; its handler calls `on_end` each time.

    Celery prints a line at each, and waits for its tasks without limit.
    """

    on_end: Callable[[], None]
    # Celery's has no types here.
    consumer: Any

    def install_platform_tweaks(self, worker: WorkController) -> None:
        """Replace Celery's handlers but one: SIGUSR1 shows what all threads do."""
        del worker
        install_cry_handler()
        for number in END:
            signal.signal(number, self._end)

    def _process_task(self, req: Request) -> None:
        """Have the pool run a task."""
        if isinstance(req, ThreadRequest):
            req.await_thread(self.consumer.qos)
        super()._process_task(req)  # type: ignore[misc]  # untyped

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        state.should_stop = EX_OK  # type: ignore[assignment]  # None until then
        self.on_end()


class Parts(bootsteps.StartStopStep):
    """Starts the parts after the pool and before the consumer, which blocks."""

    requires = ("celery.worker.components:Pool",)
    watchdog: Watchdog
    on_start: Callable[[], None]

    def start(self, parent: CeleryWorker) -> None:
        """Start all parts."""
        del parent
        Parts.on_start()
        self.watchdog.start()

    def stop(self, parent: CeleryWorker) -> None:
        """End all parts; the pool still works while they end."""
        del parent
        self.watchdog.stop()

    terminate = stop
