"""What a worker is busy with: long tasks are logged, and reported when they block it."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from celery.worker import state

from esquirell.domain.tasks import COMMAND_HEADER

log = logging.getLogger(__name__)

LONG_S = 600.0


class Task(Protocol):
    """A task taken from the queue; without `time_start` it waits for its slot."""

    id: str
    name: str
    time_start: float | None

    @property
    def request_dict(self) -> Mapping[str, Any]:
        """The headers of its message, and more."""


class Workload:
    """Checks the tasks that were taken; `places` returns how many may run in parallel.

    `is_blocked` is the result of the last check.
    """

    def __init__(
        self,
        places: Callable[[], int],
        taken: Callable[[], Iterable[Task]] = lambda: list(state.requests.values()),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._places = places
        self._taken = taken
        self._clock = clock
        self._named: set[str] = set()
        self.is_blocked = False

    def blocked(self) -> bool:
        """Return whether tasks of over ten minutes occupy all slots; log each of them once."""
        long = [request for request in self._taken() if self._age_s(request) > LONG_S]
        for task in long:
            if task.id not in self._named:
                log.warning(
                    "%s (%s) has been running for over %.0f min",
                    task.name,
                    task.id,
                    LONG_S / 60,
                )
        self._named = {task.id for task in long}
        self._note(blocked=len(long) >= self._places())
        return self.is_blocked

    def asked_for(self) -> dict[str, float | None]:
        """Return the tasks that came from a command, by id, with the unix time since each runs."""
        return {
            task.id: task.time_start
            for task in self._taken()
            if COMMAND_HEADER in task.request_dict
        }

    def _age_s(self, task: Task) -> float:
        return self._clock() - task.time_start if task.time_start else 0.0

    def _note(self, *, blocked: bool) -> None:
        if blocked and not self.is_blocked:
            log.error(
                "all %d slots of the worker are occupied by tasks of over %.0f min: no other task "
                "runs",
                self._places(),
                LONG_S / 60,
            )
        self.is_blocked = blocked
