"""Long work on request: recorded in the database, done by a worker, ended in the record."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

from esquirell.domain.command import Answer, CommandRecord, Source
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.services.ports import Clock, CommandLog, TaskSender

EXPIRES_S = 60
LOOK_EVERY_S = 0.05


class Jobs:
    """Hands work to a worker and follows it by its record."""

    def __init__(self, log: CommandLog, sender: TaskSender, clock: Clock) -> None:
        self._log = log
        self._sender = sender
        self._clock = clock

    def submit(
        self, source: Source, command: str, task: str, request: Mapping[str, Any]
    ) -> CommandRecord:
        """Record a command, then send its task with the request as arguments.

        Raises UnavailableError; then the command is recorded as failed, or not at all.
        """
        record = CommandRecord(str(uuid.uuid4()), self._clock(), source, command, request)
        self._log.record(record)
        try:
            self._sender.send(task, request, record.id, EXPIRES_S)
        except UnavailableError as error:
            self.end(record.id, Answer("error", {}, str(error), error.code))
            raise
        return record

    def end(self, command_id: str, answer: Answer) -> None:
        """Write what came of a command into its record. Raises UnavailableError."""
        self._log.finish(command_id, self._clock(), answer)

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
