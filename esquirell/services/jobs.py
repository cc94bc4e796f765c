"""Long work on request: recorded in the database, done by a worker, ended in the record."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.services.ports import Clock
from esquirell.services.schedule_ports import CommandLog, TaskSender

EXPIRES_S = 60
LOOK_EVERY_S = 0.05
REPEATS_WITHIN = timedelta(minutes=5)
KEEP = timedelta(days=90)
PRUNE_EVERY = timedelta(hours=1)

# A task is thrown away after EXPIRES_S if nobody took it, and a poll has its own time limit:
# what has not ended after this was lost with its worker. A user's own task may take longer.
LOST_AFTER = timedelta(minutes=2)
LONG_LOST_AFTER = timedelta(hours=1)
SHORT = ("fetch", "meter/test")
LONG = (*SHORT, "schedule/run", "task/run")
LOST = "the task was accepted and then lost: no worker took it, or the worker ended"


class Jobs:
    """Hands work to a worker and follows it by its record."""

    def __init__(
        self, log: CommandLog, sender: TaskSender, clock: Clock, keep: timedelta = KEEP
    ) -> None:
        self._log = log
        self._sender = sender
        self._clock = clock
        self._keep = keep
        self._pruned_at: datetime | None = None

    def open(self, request: Request) -> tuple[CommandRecord, bool]:
        """Record a command, before anything is done; tell whether it repeats an earlier one.

        The same command with the same transaction and payload within five minutes is a repeat:
        then the earlier record is given. Raises UnavailableError, and CommandError
        (`invalid_payload`) when the same transaction came with another payload.
        """
        now = self._clock()
        earlier = self._log.find(request.transaction_key, now - REPEATS_WITHIN)
        if earlier is None:
            return self._record(request, now), False
        if earlier.request != request.data:
            raise CommandError(
                "invalid_payload",
                "this transaction came with another payload before; use a new one",
            )
        # What is no long work and has no end was cut off, by a power cut say: it is done now.
        return earlier, earlier.answer is not None or earlier.command in LONG

    def send(
        self, command_id: str, task: str, kwargs: Mapping[str, Any], schedule: str | None = None
    ) -> None:
        """Let a worker do it, as a run of `schedule` if it is one.

        Raises UnavailableError, which is then how the command ended.
        """
        try:
            self._sender.send(task, kwargs, command_id, EXPIRES_S, schedule)
        except UnavailableError as error:
            self.end(command_id, Answer("error", {}, str(error), error.code), told=True)
            raise

    def end(self, command_id: str, answer: Answer, *, told: bool) -> None:
        """Write what came of a command into its record; `told` if that is its answer at once.

        Raises UnavailableError.
        """
        self._log.finish(command_id, self._clock(), answer, told=told)

    def finished(self, command_id: str, answer: Answer, outcome: object) -> None:
        """Write the end of a task and its outcome, in the shape that its command promises.

        Raises UnavailableError.
        """
        record = self._log.get(command_id)
        if record is not None:
            self.end(command_id, replace(answer, data=_shape(record, outcome)), told=False)

    def tidy(self) -> None:
        """End the commands whose tasks were lost, and forget old ones. Raises UnavailableError."""
        self._prune(self._clock())
        for record in self._log.unended(self._clock() - LOST_AFTER):
            limit = LOST_AFTER if record.command in SHORT else LONG_LOST_AFTER
            if self._clock() - record.at > limit:
                lost = Answer("error", {"task_id": record.id}, LOST, "timeout")
                # What is no long work was answered at once, or nobody waits any more.
                self.end(record.id, lost, told=record.command not in LONG)

    def unanswered(self) -> list[CommandRecord]:
        """Give the commands whose end was not told, ended or not. Raises UnavailableError."""
        return self._log.unanswered()

    def answered(self, command_id: str) -> None:
        """Note that the end of a command was told. Raises UnavailableError."""
        self._log.mark_answered(command_id)

    def wait(self, command_id: str, limit_s: float) -> Answer:
        """Wait for the end of a command, as its record tells it.

        Raises CommandError (`timeout`) after `limit_s` seconds, and UnavailableError.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            record = self._log.get(command_id)
            if record and record.answer:
                return record.answer
            time.sleep(LOOK_EVERY_S)
        raise CommandError("timeout", f"no worker has answered within {limit_s:.0f} s")

    def _prune(self, now: datetime) -> None:
        if self._pruned_at is None or now - self._pruned_at > PRUNE_EVERY:
            self._log.prune(now - self._keep)
            self._pruned_at = now

    def _record(self, request: Request, now: datetime) -> CommandRecord:
        record = CommandRecord(
            str(uuid.uuid4()),
            now,
            request.source,
            request.command,
            request.data,
            request.transaction_key,
            request.reply,
        )
        self._log.record(record)
        return record


def _shape(record: CommandRecord, outcome: object) -> dict[str, Any]:
    if isinstance(outcome, dict) and record.command == "meter/test":
        return outcome
    if isinstance(outcome, dict) and record.command == "fetch":
        return {"task_id": record.id} | outcome
    return {"task_id": record.id, "result": outcome}
