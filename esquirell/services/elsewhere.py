"""Meters that other workers read: those of other networks, and a share of very many."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from esquirell.domain.errors import EsquirellError, MeterUnreachableError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.services.ports import CheckCancelled, Relay

# A part that nobody took within its time is thrown away; a read has a time limit of its own.
PART_EXPIRES_S = 30
ANSWER_LIMIT_S = 40.0
# Fewer meters are read sooner than shared.
SHARED_FROM = 50

Share = tuple[str, Sequence[Meter]]


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

    def divide(self, meters: Sequence[Meter]) -> tuple[list[Meter], list[Share]]:
        """Give the meters that are read here, and those that others read, by queue."""
        here: list[Meter] = []
        others: dict[str, list[Meter]] = {}
        for meter in meters:
            served = not meter.queue or meter.queue in self._serves
            (here if served else others.setdefault(meter.queue, [])).append(meter)
        mine, shares = self._shared(here)
        return mine, [*others.items(), *shares]

    def _shared(self, meters: list[Meter]) -> tuple[list[Meter], list[Share]]:
        """Divide many meters evenly among the workers that serve those without a queue."""
        bound = [meter for meter in meters if meter.queue]
        free = [meter for meter in meters if not meter.queue]
        if len(free) < SHARED_FROM or "" in self._polled:
            return meters, []
        try:
            workers = max(1, self._relay.workers(""))
        except UnavailableError:
            return meters, []
        mine, *shares = (free[number::workers] for number in range(workers))
        return mine + bound, [("", share) for share in shares]

    @contextmanager
    def sent(self, others: Sequence[Share], *, forced: bool) -> Iterator[list[Part]]:
        """Let others read their meters. `forced` is for people: it never leaves one out.

        As a meter that is being read already, a queue that is still at its last scheduled poll
        is left out: one that hangs takes one place in this worker, not all. Of meters without a
        queue none is left out: what is not sent comes back by `left`.
        """
        queues = {queue for queue, _ in others}
        begun = set() if forced else {queue for queue in queues if self._begin(queue)}
        kind = "on_demand" if forced else "scheduled"
        free = queues if forced else begun
        try:
            yield [
                self._send(*share, kind) if share[0] in free else _unsent(*share)
                for share in others
                if share[0] in free or not share[0]
            ]
        finally:
            with self._lock:
                self._polled -= begun

    def left(self, parts: Sequence[Part]) -> tuple[list[Meter], list[Part]]:
        """Take back the shares that nobody has begun; give their meters, and the other parts.

        Those who could read them may be busy, even waiting for a share of their own; or the
        message waits behind this very task.
        """
        back = [part for part in parts if not part.queue and self._comes_back(part)]
        meters = [meter for part in back for meter in part.meters]
        return meters, [part for part in parts if part not in back]

    def collect(
        self, parts: Sequence[Part], check_cancelled: CheckCancelled = lambda: None
    ) -> tuple[dict[str, Any], dict[Meter, EsquirellError]]:
        """Wait for the answers: what each meter did, and why others were not read.

        Raises what `check_cancelled` raises.
        """
        told: dict[str, Any] = {}
        missed: dict[Meter, EsquirellError] = {}
        deadline = time.monotonic() + ANSWER_LIMIT_S
        for part in parts:
            try:
                told |= self._answer(part, deadline, check_cancelled)["meters"]
            except EsquirellError as error:
                missed |= dict.fromkeys(part.meters, error)
        return told, missed

    def trial(self, meter: Meter) -> dict[str, Any]:
        """Have one meter read, and give what it said. Raises EsquirellError."""
        part = self._send(meter.queue, [meter], "trial")
        return dict(self._answer(part, time.monotonic() + ANSWER_LIMIT_S))

    def claim(self, ticket: str) -> bool:
        """Take on a part that was sent from elsewhere; False if it was taken back.

        Raises UnavailableError.
        """
        return self._relay.claim(ticket)

    def reply(self, ticket: str, answer: Mapping[str, Any]) -> None:
        """Answer a part that was sent from elsewhere. Raises UnavailableError."""
        self._relay.reply(ticket, answer)

    def _begin(self, queue: str) -> bool:
        with self._lock:
            free = queue not in self._polled
            self._polled.add(queue)
        return free

    def _comes_back(self, part: Part) -> bool:
        try:
            return bool(part.error) or self._relay.claim(part.ticket)
        except UnavailableError:
            # Nobody can answer now: better read twice than not at all.
            return True

    def _send(self, queue: str, meters: Sequence[Meter], kind: str) -> Part:
        try:
            self._check(queue)
            names = [meter.name for meter in meters]
            ticket = self._relay.send(queue, kind, names, PART_EXPIRES_S)
        except EsquirellError as error:
            return Part(queue, tuple(meters), error=error)
        return Part(queue, tuple(meters), ticket)

    def _answer(
        self, part: Part, deadline: float, check_cancelled: CheckCancelled = lambda: None
    ) -> Mapping[str, Any]:
        if part.error:
            raise part.error
        while time.monotonic() < deadline:
            check_cancelled()
            answer = self._relay.collect(part.ticket)
            if answer is not None:
                return _unpacked(answer)
            self._check(part.queue)
        who = f"queue {part.queue}" if part.queue else "another worker"
        raise MeterUnreachableError("no_data", f"{who} gave no answer in time")

    def _check(self, queue: str) -> None:
        """Raise MeterUnreachableError or UnavailableError when nobody serves a queue."""
        if queue and not self._relay.workers(queue):
            raise MeterUnreachableError(
                "unreachable",
                f"no worker serves queue {queue}: start esquirell worker --queue {queue} on its "
                "network",
            )


def _unsent(queue: str, meters: Sequence[Meter]) -> Part:
    error = UnavailableError("the other workers are still at an earlier poll")
    return Part(queue, tuple(meters), error=error)


def _unpacked(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if "code" in answer:
        raise MeterUnreachableError(str(answer["code"]), str(answer["error"]))
    return answer
