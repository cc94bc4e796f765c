"""Cancelling a task from Flower's page, with the answer of the worker that has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from celery.states import READY_STATES
from flower.api.control import ControlHandler
from tornado.web import HTTPError, authenticated

NOBODY = "no worker has answered: it is unknown whether the task will be cancelled"
UNKNOWN = "no worker has the task: it is discarded when one takes it within three hours"

SOLO = (
    "a worker with --pool solo receives this between its tasks only: a running task goes on, and a "
    "waiting one may still run"
)

Reply = Mapping[str, Any]


class Revoke(ControlHandler):
    """Replaces Flower's own, which always answers `Revoked`."""

    @authenticated
    async def post(self, task_id: str) -> None:
        """Cancel a task; with `terminate`, also a running one."""
        if self.application.options.read_only:
            raise HTTPError(403, "Read only mode is enabled")
        task = self.application.events.state.tasks.get(task_id)
        if task is not None and task.state in READY_STATES:
            raise HTTPError(409, f"the task has ended already: {task.state}")
        replies = await self.run_blocking(
            "task.revoke",
            task_id,
            self.capp.control.revoke,
            task_id,
            terminate=self.get_argument("terminate", default=False, type=bool),
            signal=self.get_argument("signal", default="SIGTERM"),
            reply=True,
        )
        if not replies and self._some_run_solo():
            raise HTTPError(503, SOLO)
        self.write({"message": worker_answer(replies or ())})

    def _some_run_solo(self) -> bool:
        """Return whether a worker receives control commands between its tasks only."""
        workers = self.application.workers.values()
        pools = (worker.get("stats", {}).get("pool", {}) for worker in workers)
        return any(".solo:" in str(pool.get("implementation")) for pool in pools)


def worker_answer(replies: Sequence[Mapping[str, Reply]]) -> str:
    """Return the answer of the worker that knows the task. Raises HTTPError when it refused."""
    answers = [answer for reply in replies for answer in reply.values()]
    if not answers:
        raise HTTPError(503, NOBODY)
    known = next((answer for answer in answers if "error" in answer or answer.get("known")), None)
    if known is None:
        return UNKNOWN
    if "error" in known:
        raise HTTPError(403, str(known["error"]).replace("%", "%%"))
    return str(known["ok"])
