"""Jobs: recorded in the database, carried out by a worker, with the result in the record."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.command import MASK, Answer, CommandRecord, Request
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.domain.tasks import HeldTask
from esquirell.services.command_table import COMMANDS, Change, Job
from esquirell.services.handlers import Work
from esquirell.services.ports import HeldTasks
from esquirell.services.schedule_ports import CommandLog, TaskSender

EXPIRES_S = 60
LOOK_EVERY_S = 0.05
# After a few seconds a slightly later answer does not matter.
LOOK_SELDOM_AFTER_S = 10.0
LOOK_SELDOM_S = 0.5
ASK_EVERY_S = 2.0
# A task without a worker may just have been taken, or Redis may just have been emptied.
DOUBT = timedelta(seconds=30)
REPEATS_WITHIN = timedelta(minutes=5)
KEEP = timedelta(days=90)
PRUNE_EVERY = timedelta(hours=1)
NEVER = datetime.min.replace(tzinfo=UTC)
# A limit for clients that send without end: beyond it the oldest go, checked after so many.
KEEP_MOST = 10_000
PRUNE_AFTER = 1000

# After this time a task is held by a worker, has ended or was lost.
LOST_AFTER = timedelta(minutes=2)
LOST = "the task was lost after it was accepted: no worker took it, or its worker ended"
NOT_TAKEN = f"no worker took the task within {EXPIRES_S} s: check that one is running"
GONE = "the worker that had the task is gone: see its log"

OnWait = Callable[[HeldTask | None], None]


class Jobs:
    """Sends work to a worker and follows its record."""

    def __init__(
        self,
        log: CommandLog,
        sender: TaskSender,
        held: HeldTasks,
        clock: Clock,
        keep: timedelta = KEEP,
        is_right: Callable[[datetime], bool] = lambda _: True,
    ) -> None:
        self._log = log
        self._sender = sender
        self._held = held
        self._clock = clock
        self._keep = keep
        self._is_right = is_right
        self._pruned_at: datetime | None = None
        self._recorded = 0
        self._missing: dict[str, datetime] = {}

    def open(self, request: Request, command: Change[Any] | Job[Any]) -> tuple[CommandRecord, bool]:
        """Record a command before anything is done; return whether it repeats an earlier one.

        The same command with the same transaction and payload within five minutes is a repeat; then
        the earlier record is returned. Raises UnavailableError, and CommandError
        (`invalid_payload`) if the transaction was used with another payload.
        """
        now = self._clock()
        record = CommandRecord(
            str(uuid.uuid4()),
            now,
            request.source,
            request.command,
            request.recorded(command.secrets),
            request.transaction_key(command.secrets),
            request.reply,
        )
        earlier = self._log.find(record.transaction_key, now - REPEATS_WITHIN)
        if earlier is None:
            self._log.record(record)
            self._recorded += 1
            return record, False
        if earlier.request != record.request:
            raise CommandError(
                "invalid_payload",
                "this transaction was used with another payload before: use a new one",
            )
        # A change without a result was interrupted, for example by a power cut: it is done now.
        return earlier, earlier.answer is not None or isinstance(command, Job)

    def send(self, command_id: str, work: Work) -> None:
        """Send it to a worker. Raises UnavailableError."""
        self._sender.send(work.task, work.kwargs, command_id, EXPIRES_S, work.schedule)

    def refuse(self, record: CommandRecord, answer: Answer) -> None:
        """Record that a command was refused, without the arguments of its task.

        Any of them may be a password. A repeat of it is judged anew. Raises UnavailableError.
        """
        has_args = bool(record.request.get("args"))
        kept = {**record.request, "args": MASK} if has_args else None
        self._log.finish(record.id, self._clock(), answer, answered=True, instead=kept)

    def end(self, command_id: str, answer: Answer, *, answered: bool) -> None:
        """Record the result of a command; `answered` if it has been answered.

        Raises UnavailableError.
        """
        self._log.finish(command_id, self._clock(), answer, answered=answered)

    def finished(self, command_id: str, answer: Answer, outcome: object) -> None:
        """Record the result of a task in the shape that its command promises.

        Raises UnavailableError.
        """
        record = self._log.get(command_id)
        if record is not None:
            data = _end_of(record, outcome)
            self.end(command_id, replace(answer, data=data), answered=False)

    def tidy(self) -> None:
        """End the jobs whose tasks were lost, and remove old commands. Raises UnavailableError."""
        now = self._clock()
        self._prune(now)
        unended = self._log.unended(now - LOST_AFTER)
        missing = [record for record in unended if self._held.find(record.id) is None]
        self._missing = {record.id: self._missing.get(record.id, now) for record in missing}
        for record in missing:
            if now - self._missing[record.id] >= DOUBT:
                lost = Answer("error", {"task_id": record.id}, LOST, "timeout")
                # A change was answered at once, or its sender has stopped waiting.
                is_job = isinstance(COMMANDS.get(record.command), Job)
                self.end(record.id, lost, answered=not is_job)

    def unanswered(self) -> list[CommandRecord]:
        """Return the jobs without a final answer, ended or not. Raises UnavailableError."""
        return self._log.unanswered()

    def answered(self, command_id: str) -> None:
        """Record that a job was finally answered. Raises UnavailableError."""
        self._log.mark_answered(command_id)

    def wait(self, command_id: str, on_wait: OnWait = lambda _: None) -> Answer:
        """Wait for the result of a job, however long it runs, and return it from its record.

        `on_wait` is called every few seconds with the task's holder. Raises CommandError
        (`timeout`) if no worker took it or the worker is gone, and UnavailableError.
        """
        search = Search(self._held, command_id)
        began = asked = time.monotonic()
        while True:
            record = self._log.get(command_id)
            if record and record.answer:
                return record.answer
            if time.monotonic() - asked >= ASK_EVERY_S:
                on_wait(search.ask())
                asked = time.monotonic()
            waited_s = asked - began
            time.sleep(LOOK_EVERY_S if waited_s < LOOK_SELDOM_AFTER_S else LOOK_SELDOM_S)

    def _prune(self, now: datetime) -> None:
        flooded = self._recorded >= PRUNE_AFTER
        if flooded or self._pruned_at is None or abs(now - self._pruned_at) > PRUNE_EVERY:
            # By a wrong clock nothing is old.
            before = now - self._keep if self._is_right(now) else NEVER
            self._log.prune(before, KEEP_MOST)
            self._pruned_at, self._recorded = now, 0


class Search:
    """Looks for the worker that holds a task."""

    def __init__(
        self, held: HeldTasks, task_id: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._held = held
        self._task_id = task_id
        self._clock = clock
        self._was_held = False
        self._known_at = clock()

    def ask(self) -> HeldTask | None:
        """Return the worker that holds the task. Raises CommandError (`timeout`) if it is lost."""
        try:
            found = self._held.find(self._task_id)
        except UnavailableError:
            # Redis can't tell now; the result will still be recorded.
            self._known_at = self._clock()
            return None
        if found:
            self._was_held, self._known_at = True, self._clock()
        limit_s = DOUBT.total_seconds() + (0 if self._was_held else EXPIRES_S)
        if self._clock() - self._known_at > limit_s:
            raise CommandError("timeout", GONE if self._was_held else NOT_TAKEN)
        return found


def _end_of(record: CommandRecord, outcome: object) -> Mapping[str, Any]:
    command = COMMANDS.get(record.command)
    if isinstance(command, Job):
        return command.end(record.id, outcome)
    return {"task_id": record.id, "result": outcome}
