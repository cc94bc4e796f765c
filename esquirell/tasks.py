"""The tasks: a name, what may go wrong, and one service call each."""

from typing import Any

from celery import Task, shared_task

from esquirell.celery import app
from esquirell.domain.errors import EsquirellError
from esquirell.domain.requests import FetchArguments
from esquirell.domain.tasks import schedulable
from esquirell.runtime import COMMAND_HEADER, current

__all__ = ["app", "fetch_and_save_energy_data", "schedulable", "test_meter"]


@schedulable(FetchArguments)
@shared_task(bind=True, name="esquirell.tasks.fetch_and_save_energy_data", throws=(EsquirellError,))
def fetch_and_save_energy_data(
    self: "Task[..., object]", meters: list[str] | None = None
) -> dict[str, Any]:
    """Read all meters, or those named, store the readings and publish them.

    A message that nobody took within its schedule's interval has expired; a meter that does
    not answer is no failure of the task: the result tells how each meter did.
    """
    fetch = current(self.app).fetch
    asked_for = COMMAND_HEADER in (self.request.headers or {})
    return fetch.on_demand(meters) if asked_for else fetch.scheduled(meters)


@shared_task(bind=True, name="esquirell.tasks.test_meter", throws=(EsquirellError,))
def test_meter(self: "Task[..., object]", name: str) -> dict[str, Any]:
    """Read one meter, store and publish nothing, and give what it said."""
    return current(self.app).fetch.trial(name)
