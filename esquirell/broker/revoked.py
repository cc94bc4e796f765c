"""Cancelled tasks, kept in Redis while their messages may still be queued."""

import time

from esquirell.broker.connection import Client, RedisError, unavailable

KEY = "esquirell:cancelled"
# As long as a worker remembers it by itself (Celery's REVOKE_EXPIRES).
KEPT_S = 10_800


class RevokedTasks:
    """The ids of cancelled tasks, for workers that start later."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def add(self, task_id: str) -> None:
        """Remember a task for three hours. Raises UnavailableError."""
        now = time.time()
        try:
            with self._client.pipeline() as steps:
                steps.zadd(KEY, {task_id: now})
                steps.zremrangebyscore(KEY, "-inf", now - KEPT_S)
                steps.expire(KEY, KEPT_S)
                steps.execute()
        except RedisError as error:
            raise unavailable(error) from None

    def ids(self) -> list[str]:
        """Return all remembered ids. Raises UnavailableError."""
        try:
            found = self._client.zrangebyscore(KEY, time.time() - KEPT_S, "+inf")
        except RedisError as error:
            raise unavailable(error) from None
        return [str(task_id) for task_id in found]
