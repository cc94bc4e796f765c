"""Commands and their answers: the same for MQTT and the command line."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal["accepted", "ok", "error"]
Source = Literal["mqtt", "cli"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the one who asked is told; `code` and `error` go with the status `error`."""

    status: Status
    data: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    code: str | None = None

    def payload(self) -> dict[str, Any]:
        """Build the answer as it is published."""
        if self.status != "error":
            return {"status": self.status, "data": dict(self.data)}
        told = {"status": "error", "error": self.error, "code": self.code}
        return told | {"data": dict(self.data)}


@dataclass(frozen=True, slots=True)
class Request:
    """A command as somebody gave it; `reply` tells where the end of long work is answered.

    `about` is the meter or schedule that its topic names, where the payload need not.
    """

    source: Source
    command: str
    data: Mapping[str, Any] = field(default_factory=dict)
    reply: Mapping[str, Any] | None = None
    about: str | None = None

    @property
    def transaction_key(self) -> str | None:
        """Name what a repeat of this command is known by; None without a transaction."""
        transaction = self.data.get("transaction")
        if transaction is None:
            return None
        parts = [self.command, self.about or self.data.get("name"), transaction]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command as the log keeps it: who asked for what, when, and what came of it.

    `id` is the task's id for what runs as a task; `answer` is None until it ended, `reply`
    None when nobody waits for the end elsewhere, or has been told.
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
