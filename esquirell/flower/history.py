"""What Flower remembers about tasks and workers: masked, bounded, kept across restarts."""

import dbm
import logging
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from celery import Celery
from celery.events import EventReceiver
from flower.events import Events
from kombu.exceptions import OperationalError
from tornado.ioloop import IOLoop

from esquirell.broker.connection import RedisError, unavailable
from esquirell.flower.masking import Mask

log = logging.getLogger(__name__)

PAUSE_S = 2.0
ANSWER_S = 1.0
SAVE_EVERY_S = 600
WORKERS = 100


class History(Events):
    """Flower's own, except that it never stops trying, and masks secrets first.

    Flower pauses ever longer between two attempts to reach Redis, up to hours.
    """

    def __init__(self, app: Celery, loop: IOLoop, mask: Mask, file: Path, max_tasks: int) -> None:
        self._mask = mask
        self.listening = Event()
        super().__init__(
            app,
            loop,
            db=str(file),
            persistent=True,
            enable_events=True,
            state_save_interval=SAVE_EVERY_S * 1000,
            max_tasks_in_memory=max_tasks,
            max_workers_in_memory=WORKERS,
        )

    def run(self) -> None:
        """Listen to the workers forever."""
        complained = False
        while True:
            try:
                with self.capp.connection() as connection:
                    connection.ensure_connection(max_retries=1)
                    if complained:
                        log.info("Redis works again, Flower continues")
                    complained = False
                    receiver = Receiver(connection, handlers={"*": self.on_event}, app=self.capp)
                    receiver.on_ready = self._begin
                    receiver.capture(limit=None, timeout=None, wakeup=True)
            except Exception as error:  # noqa: BLE001 - whatever it was, listening goes on
                if not complained:
                    log.warning("%s; Flower waits until it works", unavailable(error))
                complained = True
            time.sleep(PAUSE_S)

    def on_event(self, event: dict[str, Any]) -> None:
        """Record an event of a worker, with secrets masked."""
        super().on_event(self._mask.data(event))

    async def on_enable_events(self) -> None:
        """Query all workers again; `run` reports once that Redis is unreachable."""
        with suppress(OperationalError, RedisError, OSError):
            await self.io_loop.run_in_executor(None, self.capp.control.enable_events)

    def _begin(self) -> None:
        """Ask the workers to send task events; their answers show that they do."""
        self.capp.control.enable_events(reply=True, timeout=ANSWER_S)
        self.listening.set()

    def save_state(self) -> None:
        """Save the history; a full disk costs the history, not Flower."""
        try:
            super().save_state()
        except (OSError, pickle.PickleError, *dbm.error) as error:
            log.warning("the history can't be saved: %s", error)


class Receiver(EventReceiver):
    """Celery's own, which also reports from when on it misses no event.

    All times are unix times. Celery shifts those of workers in other time zones, which then seem to
    live in the past or in the future.
    """

    on_ready: Callable[[], None]

    def on_consume_ready(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - kombu's
        """Report it, once Redis has registered us."""
        super().on_consume_ready(*args, **kwargs)
        self.on_ready()

    def event_from_message(self, *args: Any, **kwargs: Any) -> tuple[str, Any]:  # noqa: ANN401 - Celery's
        """Parse an event without shifting its time."""
        kind, event = super().event_from_message(*args, **kwargs | {"localize": False})
        return str(kind), event
