"""The tasks: a name, possible errors, and one service call each."""

from collections.abc import Container, Iterator
from datetime import datetime
from functools import partial
from typing import Any, cast

from billiard.exceptions import Terminated
from celery import Task, shared_task
from celery.worker.state import requests, revoked

from esquirell.celery import Loader, app
from esquirell.domain.errors import EsquirellError
from esquirell.domain.requests import BackfillArguments, FetchArguments, RollupArguments
from esquirell.domain.tasks import COMMAND_HEADER, CeleryTask, registry, schedulable
from esquirell.runtime.root import current
from esquirell.services.capture import CAPTURE_TASK
from esquirell.services.fetch import check_fetched
from esquirell.settings import Settings

__all__ = [
    "app",
    "backfill",
    "backup",
    "capture_meter",
    "end_if_cancelled",
    "fetch_and_save_energy_data",
    "load_own_tasks",
    "prune",
    "rollup",
    "schedulable",
    "test_meter",
]


@schedulable(FetchArguments)
@shared_task(
    bind=True,
    name="esquirell.tasks.fetch_and_save_energy_data",
    throws=(EsquirellError,),
    # Celery works it out for each poll, whether or not Flower shows it: a third of a millisecond
    # for ten meters at its usual length.
    resultrepr_maxsize=128,
)
def fetch_and_save_energy_data(
    self: "Task[..., object]", meters: list[str] | None = None
) -> dict[str, Any]:
    """Read all meters, or those named, store the readings and publish them.

    A message not taken within its schedule's interval expires. The result has the outcome for each
    meter; the task fails if none gave a reading.
    """
    fetch = current(self.app).polling.fetch
    check_cancelled = partial(end_if_cancelled, str(self.request.id))
    check_cancelled()
    asked_for = COMMAND_HEADER in (self.request.headers or {})
    read = fetch.on_demand if asked_for else fetch.scheduled
    result = read(meters, check_cancelled)
    check_fetched(result["meters"])
    return result


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
    """Bring the statistics up to date, or recalculate them from a given time on.

    The result is the number of readings processed, by meter.
    """
    begin = datetime.fromisoformat(since) if since else None
    return current(self.app).storage.statistics.rollup(begin, meters)


@schedulable()
@shared_task(bind=True, name="esquirell.tasks.prune", throws=(EsquirellError,))
def prune(self: "Task[..., object]") -> dict[str, int]:
    """Remove raw readings older than database.raw_retention, but the first and last of each hour.

    What is not in the statistics yet stays. The result is the number of removed readings, by meter.
    """
    return current(self.app).upkeep.retention.prune()


@schedulable(BackfillArguments)
@shared_task(bind=True, name="esquirell.tasks.backfill", throws=(EsquirellError, Terminated))
def backfill(
    self: "Task[..., object]",
    meters: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Fill gaps in Home Assistant's long-term statistics from our hours.

    The result is the number of hours written and left alone, by meter.
    """
    from esquirell.services.backfill import BackfillOptions  # noqa: PLC0415 - few need it

    begin, end = (datetime.fromisoformat(text) if text else None for text in (since, until))
    cancelled = partial(end_if_cancelled, str(self.request.id))
    backfilling = current(self.app).backfilling
    options = BackfillOptions(backfilling.chosen(meters), begin, end, dry_run)
    return backfilling.fill(options, check_cancelled=cancelled).payload(options.meters)


@shared_task(bind=True, name="esquirell.tasks.test_meter", throws=(EsquirellError,))
def test_meter(self: "Task[..., object]", name: str) -> dict[str, Any]:
    """Read one meter without storing or publishing, and return its reading."""
    return current(self.app).polling.fetch.trial(name)


@shared_task(bind=True, name=CAPTURE_TASK, throws=(EsquirellError,))
def capture_meter(self: "Task[..., object]", name: str) -> dict[str, Any]:
    """Read one meter and return its raw answer, with nothing that identifies the device."""
    return current(self.app).polling.fetch.capture(name)


def end_if_cancelled(task_id: str) -> None:
    """End the task with this id, from which this is called, if it was cancelled (in Flower, say).

    A thread can't be killed: a long task calls this now and then. In a thread, a task that has not
    called it yet can't be cancelled. In a pool of processes it is not needed.
    """
    request: Any = requests.get(task_id)
    if request is not None:
        request.looks = True
    if task_id in revoked:
        raise Terminated("the task was cancelled")


def load_own_tasks(settings: Settings) -> list[str]:
    """Import the modules with a user's own tasks; return a sentence for each that fails."""
    app.loader.import_default_modules()
    modules = frozenset(settings.tasks.modules)
    registry.add_listed(partial(_defined_in, modules), over_mqtt=settings.tasks.over_mqtt)
    return list(cast("Loader", app.loader).problems.values())


def _defined_in(modules: Container[str]) -> Iterator[CeleryTask]:
    """Yield the tasks that are defined, not imported, in these modules."""
    for task in app.tasks.values():
        if task.__module__ in modules and task.__module__ != __name__:
            yield task
