"""The tasks: a name, what may go wrong, and one service call each."""

import importlib
import logging
import sys
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from billiard.exceptions import Terminated
from celery import Task, shared_task
from celery.worker.state import revoked

from esquirell.celery import app
from esquirell.domain.errors import EsquirellError
from esquirell.domain.requests import FetchArguments, RollupArguments
from esquirell.domain.tasks import COMMAND_HEADER, schedulable
from esquirell.runtime.process import current
from esquirell.services.capture import CAPTURE_TASK

__all__ = [
    "app",
    "backup",
    "capture_meter",
    "end_if_cancelled",
    "fetch_and_save_energy_data",
    "load_modules",
    "prune",
    "rollup",
    "schedulable",
    "test_meter",
]

log = logging.getLogger(__name__)


@schedulable(FetchArguments)
@shared_task(
    bind=True,
    name="esquirell.tasks.fetch_and_save_energy_data",
    throws=(EsquirellError, Terminated),
)
def fetch_and_save_energy_data(
    self: "Task[..., object]", meters: list[str] | None = None
) -> dict[str, Any]:
    """Read all meters, or those named, store the readings and publish them.

    A message that nobody took within its schedule's interval has expired; a meter that does
    not answer is no failure of the task: the result tells how each meter did.
    """
    fetch = current(self.app).fetch
    wanted = partial(end_if_cancelled, str(self.request.id))
    asked_for = COMMAND_HEADER in (self.request.headers or {})
    return fetch.on_demand(meters, wanted) if asked_for else fetch.scheduled(meters, wanted)


@schedulable()
@shared_task(bind=True, name="esquirell.tasks.backup", throws=(EsquirellError,))
def backup(self: "Task[..., object]") -> dict[str, Any]:
    """Copy the database into the folder for backups, and remove the oldest copies."""
    return current(self.app).upkeep.backups.make()


@schedulable(RollupArguments)
@shared_task(bind=True, name="esquirell.tasks.rollup", throws=(EsquirellError,))
def rollup(
    self: "Task[..., object]", meters: list[str] | None = None, since: str | None = None
) -> dict[str, int]:
    """Bring the statistics up to date, or work them up anew from a moment on.

    The result tells how many readings of each meter were looked at.
    """
    begin = datetime.fromisoformat(since) if since else None
    return current(self.app).storage.statistics.rollup(begin, meters)


@schedulable()
@shared_task(bind=True, name="esquirell.tasks.prune", throws=(EsquirellError,))
def prune(self: "Task[..., object]") -> dict[str, int]:
    """Remove raw readings older than database.raw_retention, but the first and last of each hour.

    What is not in the statistics stays. The result tells how many of each meter went.
    """
    return current(self.app).upkeep.retention.prune()


@shared_task(bind=True, name="esquirell.tasks.test_meter", throws=(EsquirellError,))
def test_meter(self: "Task[..., object]", name: str) -> dict[str, Any]:
    """Read one meter, store and publish nothing, and give what it said."""
    return current(self.app).fetch.trial(name)


@shared_task(bind=True, name="esquirell.tasks.read_part", throws=(EsquirellError,))
def read_part(self: "Task[..., object]", kind: str, meters: list[str], ticket: str) -> None:
    """Read meters of this worker's queue for another worker, and answer it."""
    current(self.app).fetch.part(kind, meters, ticket)


@shared_task(bind=True, name=CAPTURE_TASK, throws=(EsquirellError,))
def capture_meter(self: "Task[..., object]", name: str) -> dict[str, Any]:
    """Read one meter and give what it sent, with nothing that names the device."""
    runtime = current(self.app)
    (meter,) = runtime.fetch.chosen([name])
    return runtime.devices.capture.take(meter)


def end_if_cancelled(task_id: str) -> None:
    """End the task with this id, in which this is called, if it was cancelled: in Flower, say.

    A thread can't be killed: a task that takes long calls this now and then.
    """
    if task_id in revoked:
        raise Terminated("the task was cancelled")


def load_modules(modules: Iterable[str], folder: Path | None) -> list[str]:
    """Import the modules with a user's own tasks; give one sentence for each that fails.

    They are also looked for in `folder`, that of the configuration file.
    """
    if folder and str(folder) not in sys.path:
        sys.path.append(str(folder))
    return [problem for module in modules if (problem := _load(module))]


def _load(module: str) -> str | None:
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # the border to a user's own code
        log.debug("importing %s failed", module, exc_info=True)
        reason = f"{type(error).__name__}: {error}"
        return f"the tasks of {module} are left out, it can't be imported: {reason}"
    return None
