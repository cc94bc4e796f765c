"""What a worker starts beside its pool: the parts of this process, and their watchdog."""

from collections.abc import Callable

from celery import bootsteps
from celery.apps.worker import Worker

from esquirell.daemon.watchdog import Watchdog


class Parts(bootsteps.StartStopStep):
    """Starts the parts after the pool and before the consumer, which blocks."""

    requires = ("celery.worker.components:Pool",)
    watchdog: Watchdog
    on_start: Callable[[], None]

    def start(self, parent: Worker) -> None:
        """Start all parts."""
        del parent
        Parts.on_start()
        self.watchdog.start()

    def stop(self, parent: Worker) -> None:
        """End all parts; the pool still works while they end."""
        del parent
        self.watchdog.stop()

    terminate = stop
