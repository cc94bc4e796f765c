"""What the command line changes by itself, in the log of commands."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from esquirell.cli.call import Call
from esquirell.domain.command import Answer, CommandRecord


def record(call: Call, command: str, request: Mapping[str, Any]) -> None:
    """Record a change that was made. Pages that show the past look again after it."""
    now = datetime.now(UTC)
    made = CommandRecord(uuid.uuid4().hex, now, "cli", command, request)
    call.storage.commands.record(made)
    call.storage.commands.finish(made.id, now, Answer("ok"))
