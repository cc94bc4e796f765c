"""Tasks sent to any worker, held by workers as these report every few seconds, or cancelled."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from esquirell.broker.connection import Client, RedisError, reaching_redis, unavailable
from esquirell.broker.queue import COMMANDS, sent_now
from esquirell.domain.tasks import COMMAND_HEADER, SCHEDULE_HEADER, HeldTask

HELD = "esquirell:held:"
# Several times a worker's reporting interval.
HELD_S = 30
REVOKED = "esquirell:cancelled"
# As long as a worker remembers it by itself (Celery's REVOKE_EXPIRES).
REVOKED_FOR_S = 10_800


class TaskSender:
    """Sends requested tasks, which do not queue behind scheduled polls."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(
        self,
        task: str,
        kwargs: Mapping[str, Any],
        task_id: str,
        expires_s: int,
        schedule: str | None = None,
    ) -> None:
        """Send a task, to be discarded if no worker takes it in time.

        `schedule` is the one that this is a run of. Raises UnavailableError.
        """
        headers = {COMMAND_HEADER: task_id} | ({SCHEDULE_HEADER: schedule} if schedule else {})
        try:
            self._app.send_task(
                task,
                kwargs=dict(kwargs),
                task_id=task_id,
                queue=COMMANDS,
                expires=expires_s,
                # Its result is in the record of the command.
                ignore_result=True,
                headers=sent_now(headers),
            )
        except (OperationalError, RedisError, OSError) as error:
            raise unavailable(error) from None


class HeldTasks:
    """Finds the tasks whose results are awaited."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def renew(self, worker: str, tasks: Mapping[str, float | None]) -> None:
        """Record the tasks that a worker holds.

        By id, the unix time since when each has been running, None for a waiting one. Raises
        UnavailableError.
        """
        if not tasks:
            return
        with reaching_redis(), self._client.pipeline(transaction=False) as steps:
            for task_id, since in tasks.items():
                steps.set(HELD + task_id, json.dumps([worker, since]), ex=HELD_S)
            steps.execute()

    def find(self, task_id: str) -> HeldTask | None:
        """Return the worker that holds a task, None if none reports it. Raises UnavailableError."""
        with reaching_redis():
            found = self._client.get(HELD + task_id)
        try:
            worker, since = json.loads(str(found)) if found else ("", None)
            began = None if since is None else datetime.fromtimestamp(since, UTC)
        except (TypeError, ValueError, OverflowError):
            return None
        return HeldTask(str(worker), began) if worker else None


class RevokedTasks:
    """The ids of cancelled tasks, for workers that start later."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def add(self, task_id: str) -> None:
        """Remember a task for three hours. Raises UnavailableError."""
        now = time.time()
        with reaching_redis(), self._client.pipeline() as steps:
            steps.zadd(REVOKED, {task_id: now})
            steps.zremrangebyscore(REVOKED, "-inf", now - REVOKED_FOR_S)
            steps.expire(REVOKED, REVOKED_FOR_S)
            steps.execute()

    def ids(self) -> list[str]:
        """Return all remembered ids. Raises UnavailableError."""
        with reaching_redis():
            found = self._client.zrangebyscore(REVOKED, time.time() - REVOKED_FOR_S, "+inf")
        return [str(task_id) for task_id in found]
