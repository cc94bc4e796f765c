"""Celery's worker, its consumer and its workload: our signals and parts, and what blocks it."""

import errno
import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import Any, Protocol, cast

from celery import bootsteps
from celery.apps.worker import Worker as CeleryWorker
from celery.apps.worker import install_cry_handler  # type: ignore[attr-defined]  # no types
from celery.exceptions import NotRegistered
from celery.platforms import EX_OK
from celery.worker import WorkController, request, state
from celery.worker.consumer import consumer
from celery.worker.consumer.consumer import CONNECTION_RETRY  # type: ignore[attr-defined]  # no types
from celery.worker.consumer.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection, Message
from kombu import Consumer as TaskConsumer
from kombu.common import ignore_errors
from kombu.exceptions import OperationalError

from esquirell.daemon import records
from esquirell.daemon.notify import notify
from esquirell.daemon.threads import ThreadPool
from esquirell.daemon.watchdog import Watchdog
from esquirell.domain.errors import UnavailableError
from esquirell.domain.process import Process
from esquirell.domain.tasks import COMMAND_HEADER
from esquirell.runtime.root import current
from esquirell.services.ports import Presence

END = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

log = logging.getLogger(__name__)

# Celery pauses up to 30 s between two tries; polls should go on within 10 s of Redis' return.
PAUSE_S = 1.0
LONGEST_PAUSE_S = 3.0
LOOK_EVERY_S = 0.1
TURN_S = 5.0
HAND_OVER_EVERY_S = 2.0
# What waits here of schedules and commands, at most.
MOST_TAKEN = 1000

LONG_S = 600.0


class Worker(CeleryWorker):
    """Ends at a signal once its tasks have ended; its handler calls `on_end` each time.

    Celery prints a line at each, and waits for its tasks without limit.
    """

    on_end: Callable[[], None]

    def install_platform_tweaks(self, worker: WorkController) -> None:
        """Replace Celery's handlers but one: SIGUSR1 shows what all threads do."""
        del worker
        install_cry_handler()
        for number in END:
            signal.signal(number, self._end)

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

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc, valid-type]  # typed as a variable
        """The steps of a connection, without open files too: another error than Celery ends at."""

        def start(self, parent: CeleryConsumer) -> None:
            try:
                super().start(parent)
            except OSError as error:
                if error.errno != errno.EMFILE:
                    raise
                raise ConnectionError(str(error)) from error

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


class OwnConsumer(bootsteps.StartStopStep):
    """Takes what schedules and commands send, over a channel each.

    Messages that wait for a thread, as tasks may never end, fill the few places of Celery's: what a
    user's code sends waits in Redis then, for any worker. Of a schedule one run waits, here. Any
    number of commands may wait, and holds up no poll. What waits for long is returned while another
    worker has a thread for it.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)
    queues: Sequence[str] = ()
    _consumers: Sequence[TaskConsumer] = ()

    def start(self, parent: CeleryConsumer) -> None:
        """Begin to take messages; done again with every connection to Redis."""
        self._consumers = [_consumer(parent, name) for name in self.queues]
        if self.queues:
            parent.timer.call_repeatedly(HAND_OVER_EVERY_S, _hand_over, (parent,))

    def stop(self, parent: CeleryConsumer) -> None:
        """Take no more messages."""
        taking, self._consumers = self._consumers, ()
        for one in taking:
            ignore_errors(cast("Connection", parent), one.cancel)


def _consumer(parent: CeleryConsumer, queue: str) -> TaskConsumer:
    amqp, channel = parent.app.amqp, cast("Connection", parent.connection).channel()
    consumer: TaskConsumer = amqp.TaskConsumer(
        channel, queues=[amqp.queues[queue]], on_decode_error=parent.on_decode_error
    )
    consumer.qos(prefetch_count=MOST_TAKEN)
    consumer.on_message = parent.create_task_handler()
    consumer.consume()
    return consumer


def _hand_over(parent: CeleryConsumer) -> None:
    """Return to their queues the runs that wait while all threads are held."""
    pool, runtime = cast("ThreadPool", parent.pool), current(parent.app)
    if pool.keeps_waiting and others_have_room(
        runtime.shared.presence, runtime.self_report.process()
    ):
        for run in pool.take_back():
            state.task_ready(run)
            run.reject(requeue=True)


def others_have_room(presence: Presence, here: Process) -> bool:
    """Whether another worker takes what schedules and commands send, and has a thread for it."""
    try:
        processes = presence.processes()
    except UnavailableError:
        return False
    working = [one for one in processes if one.alive and "worker" in one.roles and not one.full]
    return any(not one.is_same(here) for one in working)


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


class Task(Protocol):
    """A task taken from the queue; without `time_start` it waits for its slot."""

    id: str
    name: str
    time_start: float | None

    @property
    def request_dict(self) -> Mapping[str, Any]:
        """The headers of its message, and more."""


class Workload:
    """Checks the tasks that were taken; `places` returns how many may run in parallel.

    `is_blocked` is the result of the last check.
    """

    def __init__(
        self,
        places: Callable[[], int],
        taken: Callable[[], Iterable[Task]] = lambda: list(state.requests.values()),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._places = places
        self._taken = taken
        self._clock = clock
        self._named: set[str] = set()
        self.is_blocked = False

    def blocked(self) -> bool:
        """Return whether tasks of over ten minutes occupy all slots; log each of them once."""
        long = [request for request in self._taken() if self._age_s(request) > LONG_S]
        for task in long:
            if task.id not in self._named:
                log.warning(
                    "%s (%s) has been running for over %.0f min",
                    task.name,
                    task.id,
                    LONG_S / 60,
                )
        self._named = {task.id for task in long}
        self._note(blocked=self._fill(long))
        return self.is_blocked

    def is_full(self) -> bool:
        """Return whether running tasks occupy all slots."""
        return self._fill(task for task in self._taken() if task.time_start)

    def _fill(self, tasks: Iterable[Task]) -> bool:
        # In a pool of threads polls have slots of their own.
        slots = [task for task in tasks if not getattr(task, "is_poll", False)]
        return len(slots) >= self._places()

    def asked_for(self) -> dict[str, float | None]:
        """Return the tasks that came from a command, by id, with the unix time since each runs."""
        return {
            task.id: task.time_start
            for task in self._taken()
            if COMMAND_HEADER in task.request_dict
        }

    def _age_s(self, task: Task) -> float:
        return self._clock() - task.time_start if task.time_start else 0.0

    def _note(self, *, blocked: bool) -> None:
        if blocked and not self.is_blocked:
            log.error(
                "all %d slots of the worker are occupied by tasks of over %.0f min: no other task "
                "runs",
                self._places(),
                LONG_S / 60,
            )
        self.is_blocked = blocked
