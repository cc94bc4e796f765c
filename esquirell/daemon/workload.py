"""What a worker is busy with: tasks that take too long are named, and said when they block it."""

import logging
import time
from collections.abc import Callable, Iterable

from celery.worker import state
from celery.worker.request import Request

log = logging.getLogger(__name__)

LONG_S = 600.0


class Workload:
    """Looks at the tasks that run here; `places` tells how many may run side by side."""

    def __init__(
        self,
        places: Callable[[], int],
        running: Callable[[], Iterable[Request]] = lambda: list(state.active_requests),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._places = places
        self._running = running
        self._clock = clock
        self._named: set[str] = set()
        self._blocked = False

    def blocked(self) -> bool:
        """Tell whether tasks of over ten minutes hold all places; name each of them once."""
        long = [one for one in self._running() if self._age_s(one) > LONG_S]
        for request in long:
            if request.id not in self._named:
                log.warning(
                    "%s (%s) has been running for over %.0f min",
                    request.name,
                    request.id,
                    LONG_S / 60,
                )
        self._named = {request.id for request in long}
        self._note(blocked=len(long) >= self._places())
        return self._blocked

    def _age_s(self, request: Request) -> float:
        return self._clock() - request.time_start if request.time_start else 0.0

    def _note(self, *, blocked: bool) -> None:
        if blocked and not self._blocked:
            log.error(
                "all %d places of the worker are held by tasks that take over %.0f min: nothing "
                "else is worked on",
                self._places(),
                LONG_S / 60,
            )
        self._blocked = blocked
