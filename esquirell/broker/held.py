"""Tasks that workers hold, as they say themselves in Redis every few seconds."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from esquirell.broker.connection import Client, RedisError, unavailable
from esquirell.domain.tasks import HeldTask

PREFIX = "esquirell:held:"
# Several times as long as a worker takes to say it again.
KEPT_S = 30


class HeldTasks:
    """Where the tasks are that somebody waits for."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def renew(self, worker: str, tasks: Mapping[str, float | None]) -> None:
        """Say that a worker holds tasks: by id the unix time since when each runs, None: it waits.

        Raises UnavailableError.
        """
        if not tasks:
            return
        try:
            with self._client.pipeline(transaction=False) as steps:
                for task_id, since in tasks.items():
                    steps.set(PREFIX + task_id, json.dumps([worker, since]), ex=KEPT_S)
                steps.execute()
        except RedisError as error:
            raise unavailable(error) from None

    def find(self, task_id: str) -> HeldTask | None:
        """Return who holds a task; None when nobody says so. Raises UnavailableError."""
        try:
            found = self._client.get(PREFIX + task_id)
        except RedisError as error:
            raise unavailable(error) from None
        try:
            worker, since = json.loads(str(found)) if found else ("", None)
            began = None if since is None else datetime.fromtimestamp(since, UTC)
        except (TypeError, ValueError, OverflowError):
            return None
        return HeldTask(str(worker), began) if worker else None
