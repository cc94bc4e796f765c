"""Runs commands from all sources; errors become answers."""

import logging
from dataclasses import replace
from typing import Any

from esquirell.domain.command import Answer, Request
from esquirell.domain.errors import EsquirellError
from esquirell.domain.requests import Payload
from esquirell.services.command_table import Change, Job, Query, find
from esquirell.services.handlers import Handlers
from esquirell.services.jobs import Jobs

log = logging.getLogger(__name__)

UNEXPECTED = "unexpected error in command %s"
INTERNAL = Answer("error", {}, "an unexpected error: see the log", "internal")


class Commands:
    """Runs commands: queries are answered; changes and jobs are recorded as well."""

    def __init__(self, handlers: Handlers, jobs: Jobs) -> None:
        self._handlers = handlers
        self._jobs = jobs

    def handle(self, request: Request) -> Answer:
        """Run a command and return its answer, `accepted` for a job. Never raises."""
        try:
            command = find(request.command, request.source)
            payload = command.parse(request.data)
            handlers = replace(self._handlers, source=request.source)
            if isinstance(command, Query):
                return Answer("ok", command.handler(handlers, payload))
            return self._recorded(command, request, handlers, payload)
        except EsquirellError as error:
            return failure(error)
        except Exception:  # the caller gets an answer
            log.exception(UNEXPECTED, request.command)
            return INTERNAL

    def _recorded(
        self, command: Change[Any] | Job[Any], request: Request, handlers: Handlers, what: Payload
    ) -> Answer:
        record, repeated = self._jobs.open(request, command)
        if repeated:
            return record.answer or _accepted(record.id)
        try:
            if isinstance(command, Job):
                work = command.handler(handlers, what)
                self._jobs.send(record.id, work)
                return _accepted(record.id)
            answer = Answer("ok", command.handler(handlers, what))
        except EsquirellError as error:
            answer = failure(error)
        except Exception:  # no record may stay without a result
            log.exception(UNEXPECTED, request.command)
            answer = INTERNAL
        if answer.status == "error":
            self._jobs.refuse(record, answer)
        else:
            self._jobs.end(record.id, answer, answered=True)
        return answer


def failure(error: EsquirellError) -> Answer:
    """Return the answer that reports an error."""
    return Answer("error", {}, str(error), error.code)


def _accepted(task_id: str) -> Answer:
    return Answer("accepted", {"task_id": task_id})
