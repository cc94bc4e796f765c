"""Celery's consumer, made to come back soon after Redis does."""

import logging
import time

from celery import bootsteps
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

from esquirell.daemon.notify import notify

log = logging.getLogger(__name__)

# Celery pauses up to 30 s between two tries; polls should go on within 10 s of Redis' return.
PAUSE_S = 1
LONGEST_PAUSE_S = 3
TURN_S = 5.0


class Consumer(CeleryConsumer):
    """Celery's consumer with short pauses and one warning, not one a try."""

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, trying for ever."""
        complained = False

        def complain(error: Exception, _pause_s: float) -> None:
            nonlocal complained
            if not complained:
                log.warning(
                    "Redis is away (%s), the worker waits for it: start it, or check redis.url",
                    type(error).__name__,
                )
                # Its start ends here: scheduler and bridge work, and a boot should not wait.
                notify("READY=1", "STATUS=waiting for Redis")
            complained = True

        conn.ensure_connection(
            complain,
            interval_start=PAUSE_S,
            interval_step=PAUSE_S,
            interval_max=LONGEST_PAUSE_S,
            callback=maybe_shutdown,
        )
        if complained:
            log.info("Redis is back, the worker goes on")
        return conn


class Pulse(bootsteps.StartStopStep):
    """Notes that the consumer's loop turns; it starts anew with each connection to Redis."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    turned_at = time.monotonic()

    def start(self, parent: CeleryConsumer) -> None:
        """Note a turn every few seconds, by the consumer's own timer."""
        parent.timer.call_repeatedly(TURN_S, Pulse.note)

    @classmethod
    def note(cls) -> None:
        """Note that the loop has turned."""
        cls.turned_at = time.monotonic()

    @classmethod
    def silent_s(cls) -> float:
        """Tell for how many seconds the loop has not turned."""
        return time.monotonic() - cls.turned_at
