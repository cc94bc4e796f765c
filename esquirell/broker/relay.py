"""Polls handed to other workers: through their inbox, answered through a list in Redis."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from esquirell.broker.connection import Client, reaching_redis

PREFIX = "esquirell:part:"
INBOX = "esquirell:inbox:"

# Shorter than the timeout of an answer from Redis.
WAIT_S = 1
INBOX_WAIT_S = 2
# A batch not taken by then is useless; an answer is kept longer than anybody waits for it.
EXPIRES_S = 30
KEPT_S = 120
# A worker that reads a batch renews this; one that does not is gone.
TAKEN_S = 6


class Relay:
    """Sends batches of a poll to workers by name; results are returned by ticket.

    All methods raise UnavailableError.
    """

    def __init__(self, client: Client, instance: str) -> None:
        self._client = client
        self._instance = instance

    def send(self, worker: str, kind: str, meters: Sequence[str]) -> str:
        """Have a worker read meters; return the ticket for its answer."""
        ticket = uuid.uuid4().hex
        part = json.dumps({"kind": kind, "meters": list(meters), "ticket": ticket})
        with reaching_redis(), self._client.pipeline() as pipe:
            pipe.rpush(INBOX + worker, part)
            pipe.expire(INBOX + worker, EXPIRES_S)
            pipe.execute()
        return ticket

    def receive(self) -> Mapping[str, Any] | None:
        """Wait up to 2 s for a batch that this worker is to read."""
        with reaching_redis():
            found = self._client.blpop([INBOX + self._instance], timeout=INBOX_WAIT_S)
        return json.loads(found[1]) if found else None

    def claim(self, ticket: str) -> bool:
        """Take on the work of a ticket; return False if another worker has."""
        with reaching_redis():
            return bool(self._client.set(_taken(ticket), 1, nx=True, ex=TAKEN_S))

    def keep(self, tickets: Collection[str]) -> None:
        """Record that the work on tickets continues."""
        with reaching_redis(), self._client.pipeline() as pipe:
            for ticket in tickets:
                pipe.set(_taken(ticket), 1, ex=TAKEN_S)
            pipe.execute()

    def under_way(self, ticket: str) -> bool:
        """Whether a worker is working on a ticket."""
        with reaching_redis():
            return bool(self._client.exists(_taken(ticket)))

    def reply(self, ticket: str, answer: Mapping[str, Any]) -> None:
        key = PREFIX + ticket
        with reaching_redis(), self._client.pipeline() as pipe:
            pipe.rpush(key, json.dumps(answer))
            pipe.expire(key, KEPT_S)
            pipe.execute()

    def collect(self, tickets: Sequence[str]) -> tuple[str, Mapping[str, Any]] | None:
        """Wait up to 1 s for the answer to one of these tickets."""
        with reaching_redis():
            found = self._client.blpop([PREFIX + ticket for ticket in tickets], timeout=WAIT_S)
        return (str(found[0]).removeprefix(PREFIX), json.loads(found[1])) if found else None


def _taken(ticket: str) -> str:
    return f"{PREFIX}{ticket}:taken"
