"""Celery's consumer, changed to reconnect soon after Redis returns."""

import logging
import time

from celery import bootsteps
from celery.exceptions import NotRegistered
from celery.worker import request
from celery.worker.consumer import consumer
from celery.worker.consumer.consumer import CONNECTION_RETRY  # type: ignore[attr-defined]  # no types
from celery.worker.consumer.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection, Message
from kombu.exceptions import OperationalError

from esquirell.daemon import records
from esquirell.daemon.notify import notify
from esquirell.domain.errors import UnavailableError
from esquirell.runtime.root import current

log = logging.getLogger(__name__)

# Celery pauses up to 30 s between two tries; polls should go on within 10 s of Redis' return.
PAUSE_S = 1.0
LONGEST_PAUSE_S = 3.0
LOOK_EVERY_S = 0.1
TURN_S = 5.0


def _is_news(record: logging.LogRecord) -> bool:
    """Drop what the outage has logged already: Celery repeats it for each try and message."""
    known = CONNECTION_RETRY in (record.args or ()) or str(record.msg).startswith("Couldn't ack")
    return not known


for _chatty in (consumer.__name__, request.__name__):
    logging.getLogger(_chatty).addFilter(_is_news)


class Consumer(CeleryConsumer):
    """Celery's consumer with short pauses and one warning per outage, not one per try.

    It connects once Redis does what is needed: a read-only one would accept the connection and
    refuse each message.
    """

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, trying forever."""
        shared = current(self.app).shared
        pause_s = 0.0
        while True:
            ConsumerHeartbeat.note()
            try:
                conn.ensure_connection(max_retries=1, interval_start=0, callback=maybe_shutdown)
                shared.probe()
            except (OperationalError, UnavailableError) as error:
                shared.outage.failed("worker", error)
            else:
                return conn
            # The start is complete here: scheduler and bridge work, and a boot should not wait.
            notify("READY=1", "STATUS=waiting for Redis")
            pause_s = min(pause_s + PAUSE_S, LONGEST_PAUSE_S)
            self._pause(pause_s)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Record what Redis refused, and slow down: it may do so again at once."""
        current(self.app).shared.outage.failed("worker", exc)
        super().on_connection_error_after_connected(exc)
        self._pause(PAUSE_S)

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:
        """Discard a message whose task is in no module of this worker, and log it."""
        del body, exc
        name, task_id = str(message.headers["task"]), str(message.headers["id"])
        log.error("unknown task %s: add its module to [tasks] modules", name)
        message.reject()
        if not message.headers.get("ignore_result"):
            self.app.backend.mark_as_failure(task_id, NotRegistered(name))
        records.on_unknown(name, message.headers)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            maybe_shutdown()
            time.sleep(LOOK_EVERY_S)


class ConsumerHeartbeat(bootsteps.StartStopStep):
    """Records that the consumer's loop is running; restarted with every connection to Redis."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    turned_at = time.monotonic()

    def start(self, parent: CeleryConsumer) -> None:
        """Record an iteration every few seconds, by the consumer's own timer."""
        outage = current(parent.app).shared.outage
        # Restarting again and again while Redis comes and goes is not hanging.
        ConsumerHeartbeat.note()

        def turned() -> None:
            ConsumerHeartbeat.note()
            outage.works("worker")

        parent.timer.call_repeatedly(TURN_S, turned)

    @classmethod
    def note(cls) -> None:
        """Record that the loop has just run."""
        cls.turned_at = time.monotonic()

    @classmethod
    def silent_s(cls) -> float:
        """Return how many seconds ago the loop last ran."""
        return time.monotonic() - cls.turned_at
