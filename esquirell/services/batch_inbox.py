"""Reads on behalf of other workers: their batches, received from Redis and answered there."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.services.ports import Relay
from esquirell.services.remote_reads import GUARD

log = logging.getLogger(__name__)

IDLE_S = 2.0
PLACES = 8


class BatchInbox:
    """Serves the batches of other workers, several in parallel.

    Guarding another worker takes as long as its poll, and takes up no place of a batch. `reading`
    returns the tickets of other work in progress here, whose claims are renewed as well.
    """

    def __init__(
        self,
        relay: Relay,
        read: Callable[[str, Sequence[str]], Mapping[str, Any]],
        reading: Callable[[], list[str]] = list,
    ) -> None:
        self._relay = relay
        self._reading = reading
        self._read = read
        self._threads = ThreadPoolExecutor(PLACES, thread_name_prefix="batch")
        self._guards = ThreadPoolExecutor(PLACES, thread_name_prefix="guard")
        self._lock = threading.Lock()
        self._under_way: set[str] = set()

    def run_once(self) -> float:
        """Wait for a batch and begin it; return the seconds until the next round."""
        try:
            part = self._relay.receive()
            with self._lock:
                tickets = [*self._under_way, *self._reading()]
            if tickets:
                self._relay.keep(tickets)
            if part is not None and self._relay.claim(part["ticket"]):
                self._begin(part)
        except UnavailableError as error:
            log.debug("batches can't be received: %s", error)
            return IDLE_S
        return 0.0

    def _begin(self, part: Mapping[str, Any]) -> None:
        with self._lock:
            self._under_way.add(part["ticket"])
        is_guard = part["kind"].startswith(GUARD)
        (self._guards if is_guard else self._threads).submit(self._serve, part)

    def _serve(self, part: Mapping[str, Any]) -> None:
        ticket = part["ticket"]
        try:
            answer = self._answer(part)
            self._relay.reply(ticket, answer)
        except UnavailableError as error:
            log.debug("the answer to a batch could not be sent: %s", error)
        finally:
            with self._lock:
                self._under_way.discard(ticket)

    def _answer(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._read(part["kind"], part["meters"])
        except EsquirellError as error:
            return {"code": error.code, "error": str(error)}
        except Exception as error:  # the other worker waits for an answer
            log.exception("unexpected error while reading a batch")
            return {"code": "internal", "error": f"unexpected error: {type(error).__name__}"}
