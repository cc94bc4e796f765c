"""Jobs: recorded in the database, done by a worker, ended in the record."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.errors import CommandError
from esquirell.services.command_table import COMMANDS, LOST_AFTER, Change, Job
from esquirell.services.handlers import Work
from esquirell.services.schedule_ports import CommandLog, TaskSender

EXPIRES_S = 60
LOOK_EVERY_S = 0.05
REPEATS_WITHIN = timedelta(minutes=5)
KEEP = timedelta(days=90)
PRUNE_EVERY = timedelta(hours=1)

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

    def open(self, request: Request, command: Change[Any] | Job[Any]) -> tuple[CommandRecord, bool]:
        """Record a command before anything is done; return whether it repeats an earlier one.

        The same command with the same transaction and payload within five minutes is a repeat:
        then the earlier record is returned. Raises UnavailableError, and CommandError
        (`invalid_payload`) when the same transaction came with another payload.
        """
        now = self._clock()
        record = _record(request, command.secrets, now)
        earlier = self._log.find(record.transaction_key, now - REPEATS_WITHIN)
        if earlier is None:
            self._log.record(record)
            return record, False
        if earlier.request != record.request:
            raise CommandError(
                "invalid_payload",
                "this transaction came with another payload before; use a new one",
            )
        # A change without an end was cut off, by a power cut for example: it is done now.
        return earlier, earlier.answer is not None or isinstance(command, Job)

    def send(self, command_id: str, work: Work) -> None:
        """Let a worker do it. Raises UnavailableError."""
        self._sender.send(work.task, work.kwargs, command_id, EXPIRES_S, work.schedule)

    def end(self, command_id: str, answer: Answer, *, answered: bool) -> None:
        """Write the end of a command into its record; `answered` if it is answered at once.

        Raises UnavailableError.
        """
        self._log.finish(command_id, self._clock(), answer, answered=answered)

    def finished(self, command_id: str, answer: Answer, outcome: object) -> None:
        """Write the end of a task and its outcome, in the shape that its command promises.

        Raises UnavailableError.
        """
        record = self._log.get(command_id)
        if record is not None:
            data = _end_of(record, outcome)
            self.end(command_id, replace(answer, data=data), answered=False)

    def tidy(self) -> None:
        """End the jobs whose tasks were lost, and forget old commands. Raises UnavailableError."""
        self._prune(self._clock())
        now = self._clock()
        limits = [one.lost_after for one in COMMANDS.values() if isinstance(one, Job)]
        for record in self._log.unended(now - min(limits)):
            command = COMMANDS.get(record.command)
            limit = command.lost_after if isinstance(command, Job) else LOST_AFTER
            if now - record.at > limit:
                lost = Answer("error", {"task_id": record.id}, LOST, "timeout")
                # A change was answered at once, or nobody waits any more.
                self.end(record.id, lost, answered=not isinstance(command, Job))

    def unanswered(self) -> list[CommandRecord]:
        """Return the jobs whose end was not answered, ended or not. Raises UnavailableError."""
        return self._log.unanswered()

    def answered(self, command_id: str) -> None:
        """Note that the end of a job was answered. Raises UnavailableError."""
        self._log.mark_answered(command_id)

    def wait(self, command_id: str, limit_s: float) -> Answer:
        """Wait for the end of a job and return it from its record.

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


def _record(request: Request, secrets: tuple[str, ...], now: datetime) -> CommandRecord:
    return CommandRecord(
        str(uuid.uuid4()),
        now,
        request.source,
        request.command,
        request.recorded(secrets),
        request.transaction_key(secrets),
        request.reply,
    )


def _end_of(record: CommandRecord, outcome: object) -> Mapping[str, Any]:
    command = COMMANDS.get(record.command)
    if isinstance(command, Job):
        return command.end(record.id, outcome)
    return {"task_id": record.id, "result": outcome}
