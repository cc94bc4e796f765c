"""Commands and their answers, the same for MQTT, command line, page and API."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal

from esquirell.domain.reading import iso
from esquirell.domain.record import record

Status = Literal["accepted", "ok", "error"]
Source = Literal["mqtt", "cli", "web", "api"]

MASK = "***"


@record
class Answer:
    """The answer to a command; `code` and `error` go with the status `error`."""

    status: Status
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    code: str | None = None

    def payload(self) -> dict[str, Any]:
        """Return the answer in its published shape."""
        if self.status != "error":
            return {"status": self.status, "data": dict(self.data)}
        failure = {"status": "error", "error": self.error, "code": self.code}
        return failure | {"data": dict(self.data)}


@record
class Request:
    """A command as it was received.

    `reply` says where to send the result of a job; `about` is the meter or schedule named by its
    topic, if the payload need not name it.
    """

    source: Source
    command: str
    data: Mapping[str, Any] = field(default_factory=dict)
    reply: Mapping[str, Any] | None = None
    about: str | None = None

    def transaction_key(self, secrets: Iterable[str] = ()) -> str | None:
        """Return the key of repeats of this command; None without a transaction.

        `secrets` are fields that are not recorded: a command that differs in them is no repeat.
        """
        transaction = self.data.get("transaction")
        if transaction is None:
            return None
        parts = [self.command, self.about or self.data.get("name"), transaction]
        parts += [self.data[name] for name in secrets if name in self.data]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def recorded(self, secrets: Iterable[str] = ()) -> dict[str, Any]:
        """Return the payload for the log, with `***` for each secret."""
        return dict(self.data) | {name: MASK for name in secrets if name in self.data}


@record
class CommandRecord:
    """A command in the log: its source, payload and result.

    `id` is the task id of a job; `answer` is None until it has ended, `reply` None if its result
    need not be sent, or has been.
    """

    id: str
    at: datetime
    source: Source
    command: str
    request: Mapping[str, Any] = field(default_factory=dict)
    transaction_key: str | None = None
    reply: Mapping[str, Any] | None = None
    ended_at: datetime | None = None
    answer: Answer | None = None


def entry_of(record: CommandRecord) -> dict[str, Any]:
    """Return a command in the shape of the log."""
    answer = record.answer
    return {
        "id": record.id,
        "at": iso(record.at),
        "source": record.source,
        "command": record.command,
        "request": dict(record.request),
        "outcome": answer.status if answer else "accepted",
        "ended_at": iso(record.ended_at) if record.ended_at else None,
        "code": answer.code if answer else None,
        "error": answer.error if answer else None,
    }
