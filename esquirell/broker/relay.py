"""Polls handed to other workers: sent by queue, answered through a list in Redis."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from esquirell.broker.connection import Client, RedisError, unavailable
from esquirell.broker.presence import Presence
from esquirell.broker.queue import POLLS, sent_now
from esquirell.domain.meter import worker_of

READ_PART = "esquirell.tasks.read_part"
PREFIX = "esquirell:part:"

# Shorter than the time limit of an answer from Redis; the answer waits longer than anybody does.
WAIT_S = 2
KEPT_S = 120


class Relay:
    """Sends a part of a poll to a queue; what came of it returns by a ticket."""

    def __init__(self, app: Celery, client: Client, presence: Presence) -> None:
        self._app = app
        self._client = client
        self._presence = presence

    def workers(self, queue: str) -> int:
        """Count the workers that serve a queue. Raises UnavailableError."""
        return self._presence.count(worker_of(queue))

    def send(self, queue: str, kind: str, meters: Sequence[str], expires_s: int) -> str:
        """Let a worker of `queue` read meters; give the ticket. Raises UnavailableError."""
        ticket = str(uuid.uuid4())
        kwargs = {"kind": kind, "meters": list(meters), "ticket": ticket}
        try:
            self._app.send_task(
                READ_PART,
                kwargs=kwargs,
                queue=queue or POLLS,
                expires=expires_s,
                ignore_result=True,
                headers=sent_now({}),
            )
        except (OperationalError, OSError, RedisError) as error:
            raise unavailable(error) from None
        return ticket

    def collect(self, ticket: str) -> Mapping[str, Any] | None:
        """Wait up to 2 s for an answer; None if it is not there yet. Raises UnavailableError."""
        try:
            found = self._client.blpop([PREFIX + ticket], timeout=WAIT_S)
        except RedisError as error:
            raise unavailable(error) from None
        return json.loads(found[1]) if found else None

    def claim(self, ticket: str) -> bool:
        """Take on the work of a ticket; False if somebody has. Raises UnavailableError."""
        try:
            return bool(self._client.set(f"{PREFIX}{ticket}:taken", 1, nx=True, ex=KEPT_S))
        except RedisError as error:
            raise unavailable(error) from None

    def reply(self, ticket: str, answer: Mapping[str, Any]) -> None:
        """Answer to a ticket. Raises UnavailableError."""
        key = PREFIX + ticket
        try:
            with self._client.pipeline() as pipe:
                pipe.rpush(key, json.dumps(answer))
                pipe.expire(key, KEPT_S)
                pipe.execute()
        except RedisError as error:
            raise unavailable(error) from None
