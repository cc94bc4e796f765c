"""What is waiting in Celery's queues."""

import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import redis

from esquirell.broker.connection import reaching_redis

POLLS = "polls"
COMMANDS = "commands"
# What a user's own code sends: any number may wait there, and hold up no poll.
TASKS = "tasks"
# The prefix of all keys that Celery uses, including queues and results.
KEY_PREFIX = "esquirell:celery:"
# Before the names of all keys that RedBeat uses.
REDBEAT_PREFIX = "esquirell:redbeat:"
SENT_AT_HEADER = "esquirell_sent_at"


class Queues:
    """Inspects the queues without taking messages; `others` returns those beside our own."""

    def __init__(self, client: redis.Redis, others: Callable[[], Collection[str]] = tuple) -> None:
        self._client = client
        self._others = others

    def backlog(self) -> tuple[int, float]:
        """Count the waiting messages, and how long (s) the oldest has. Raises UnavailableError."""
        names = (POLLS, COMMANDS, TASKS, *self._others())
        with reaching_redis(), self._client.pipeline(transaction=False) as steps:
            for name in names:
                steps.llen(queue_key(name))
                steps.lindex(queue_key(name), -1)
            found = steps.execute()
        lengths, oldest = map(int, found[::2]), found[1::2]
        waits = [_waited_s(str(message)) for message in oldest if message]
        return sum(lengths), max(waits, default=0.0)


def queue_key(queue: str) -> str:
    """Return the key of the Redis list in which the messages of a queue wait."""
    return KEY_PREFIX + queue


def _waited_s(message: str) -> float:
    """Return how long (s) a message has waited since `sent_now` noted the time in its headers."""
    headers: dict[str, Any] = json.loads(message).get("headers", {})
    sent_at = headers.get(SENT_AT_HEADER)
    return max(0.0, datetime.now(UTC).timestamp() - sent_at) if sent_at else 0.0


def sent_now(headers: dict[str, Any]) -> dict[str, Any]:
    """Add the current unix time (s) to the headers of a message."""
    return headers | {SENT_AT_HEADER: datetime.now(UTC).timestamp()}
