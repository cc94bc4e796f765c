"""Meters that workers on other networks read: by the queue of each meter."""

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esquirell.domain.errors import EsquirellError, MeterUnreachableError
from esquirell.domain.meter import Meter
from esquirell.services.ports import Relay

# A part that nobody took within its time is thrown away; a read has a time limit of its own.
PART_EXPIRES_S = 30
ANSWER_LIMIT_S = 40.0


@dataclass(frozen=True, slots=True)
class Part:
    """The meters of one queue, and the ticket for their answer, or why there will be none."""

    queue: str
    meters: tuple[Meter, ...]
    ticket: str = ""
    error: EsquirellError | None = None


class Elsewhere:
    """Has the meters of other queues read there; `serves` are the queues of this process."""

    def __init__(self, relay: Relay, serves: Collection[str]) -> None:
        self._relay = relay
        self._serves = frozenset(serves)
        self._lock = threading.Lock()
        self._polled: set[str] = set()

    def divide(self, meters: Sequence[Meter]) -> tuple[list[Meter], dict[str, list[Meter]]]:
        """Give the meters that are read here, and those of each other queue."""
        here: list[Meter] = []
        others: dict[str, list[Meter]] = {}
        for meter in meters:
            served = not meter.queue or meter.queue in self._serves
            (here if served else others.setdefault(meter.queue, [])).append(meter)
        return here, others

    def send(self, others: Mapping[str, Sequence[Meter]], *, forced: bool) -> list[Part]:
        """Let each queue read its meters. `forced` is for people: it never leaves one out.

        As a meter that is being read already, a queue that is still at its last scheduled poll
        is left out: one that hangs takes one place in this worker, not all.
        """
        queues = [queue for queue in others if forced or self._begin(queue)]
        kind = "on_demand" if forced else "scheduled"
        return [self._send(queue, others[queue], kind) for queue in queues]

    def collect(
        self, parts: Sequence[Part], *, forced: bool
    ) -> tuple[dict[str, Any], dict[Meter, EsquirellError]]:
        """Wait for the answers: what each meter did, and why others were not read."""
        told: dict[str, Any] = {}
        missed: dict[Meter, EsquirellError] = {}
        deadline = time.monotonic() + ANSWER_LIMIT_S
        for part in parts:
            try:
                told |= self._answer(part, deadline)["meters"]
            except EsquirellError as error:
                missed |= dict.fromkeys(part.meters, error)
        if not forced:
            self._end(part.queue for part in parts)
        return told, missed

    def trial(self, meter: Meter) -> dict[str, Any]:
        """Have one meter read, and give what it said. Raises EsquirellError."""
        part = self._send(meter.queue, [meter], "trial")
        return dict(self._answer(part, time.monotonic() + ANSWER_LIMIT_S))

    def reply(self, ticket: str, answer: Mapping[str, Any]) -> None:
        """Answer a part that was sent from elsewhere. Raises UnavailableError."""
        self._relay.reply(ticket, answer)

    def _begin(self, queue: str) -> bool:
        with self._lock:
            free = queue not in self._polled
            self._polled.add(queue)
        return free

    def _end(self, queues: Iterable[str]) -> None:
        with self._lock:
            self._polled.difference_update(queues)

    def _send(self, queue: str, meters: Sequence[Meter], kind: str) -> Part:
        try:
            self._check(queue)
            names = [meter.name for meter in meters]
            ticket = self._relay.send(queue, kind, names, PART_EXPIRES_S)
        except EsquirellError as error:
            return Part(queue, tuple(meters), error=error)
        return Part(queue, tuple(meters), ticket)

    def _answer(self, part: Part, deadline: float) -> Mapping[str, Any]:
        if part.error:
            raise part.error
        while time.monotonic() < deadline:
            answer = self._relay.collect(part.ticket)
            if answer is not None:
                return _unpacked(answer)
            self._check(part.queue)
        raise MeterUnreachableError("no_data", f"queue {part.queue} gave no answer in time")

    def _check(self, queue: str) -> None:
        """Raise MeterUnreachableError or UnavailableError when nobody serves a queue."""
        if not self._relay.served(queue):
            raise MeterUnreachableError(
                "unreachable",
                f"no worker serves queue {queue}: start esquirell worker --queue {queue} on its "
                "network",
            )


def _unpacked(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if "code" in answer:
        raise MeterUnreachableError(str(answer["code"]), str(answer["error"]))
    return answer
