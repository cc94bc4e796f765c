"""Sending a task to any free worker."""

from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from esquirell.broker.connection import RedisError, unavailable
from esquirell.broker.queue import COMMANDS, sent_now
from esquirell.domain.tasks import COMMAND_HEADER, SCHEDULE_HEADER


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
