"""Meters read by other workers, which hold their lines: split, dispatch, reclaim, gather."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from esquirell.domain.errors import EsquirellError, MeterUnreachableError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.record import record
from esquirell.services.ports import CheckCancelled, Relay

ANSWER_LIMIT_S = 40.0
# A running worker takes a batch at once.
TAKE_S = 2.0
# A meter whose read began this recently is requested again: its worker reads it once for both.
SHARED_S = 0.5
# Sent by a process without lines: to be split among the workers again.
SPLIT = "split:"
# Sent by a worker for its own share: to be read by another one if it is killed meanwhile.
GUARD = "guard:"


class Ownership(Protocol):
    """Knows which worker reads which meter."""

    @property
    def elsewhere(self) -> bool:
        """Whether this process reads no meter itself: another one splits up its polls."""

    def owner(self, meter: Meter) -> str | None:
        """Return the worker that reads a meter; None if it is this one.

        Raises UnavailableError, and LookupError when no worker serves its queue.
        """

    def other(self) -> str | None:
        """Return another worker that can read this worker's meters; None if there is none."""


@record
class Batch:
    """The meters that one worker was asked to read, and the ticket of its answer."""

    worker: str
    meters: tuple[Meter, ...]
    ticket: str
    sent_at: float


@dataclass
class Split:
    """Who reads the meters of a poll: this worker, others, or none and why."""

    here: list[Meter]
    others: dict[str, list[Meter]]
    nobody: dict[Meter, EsquirellError]


class OneWorker:
    """Has one worker read all meters: the parent of a pool process, which holds no lines."""

    elsewhere = True

    def __init__(self, worker: str) -> None:
        self._worker = worker

    def owner(self, meter: Meter) -> str | None:
        del meter
        return self._worker

    def other(self) -> str | None:
        """Return None: the worker itself takes care of that."""
        return None


class RemoteReads:
    """Has meters read by the workers that hold their lines, and reads for others."""

    def __init__(
        self,
        relay: Relay,
        ownership: Ownership,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._relay = relay
        self._ownership = ownership
        self._prefix = SPLIT if ownership.elsewhere else ""
        self._lock = threading.Lock()
        self._polling: dict[str, float] = {}
        self._reading: set[str] = set()

    def split(self, meters: Sequence[Meter]) -> Split:
        """Sort meters by the worker that reads them; this one while Redis is unreachable."""
        split = Split([], {}, {})
        for meter in meters:
            try:
                owner = self._ownership.owner(meter)
            except LookupError:
                split.nobody[meter] = _unserved(meter.queue)
            except UnavailableError as error:
                split.nobody[meter] = error
            else:
                (split.others.setdefault(owner, []) if owner else split.here).append(meter)
        return split

    def dispatch(self, split: Split, kind: str) -> list[Batch]:
        """Send batches to other workers; this one reads what can't be sent, if it can.

        Meters still being read since the worker's last scheduled batch are left out of a scheduled
        poll, like any meter being read: a hanging one takes up one of our places, not all.
        """
        batches = []
        for worker, wanted in split.others.items():
            meters = self._begin(wanted) if kind == "scheduled" else wanted
            if not meters:
                continue
            try:
                ticket = self._relay.send(
                    worker, self._prefix + kind, [meter.name for meter in meters]
                )
            except UnavailableError as error:
                self._forget(meters)
                split.here += [meter for meter in meters if self._is_served(meter)]
                split.nobody |= {meter: error for meter in meters if not self._is_served(meter)}
            else:
                batches.append(Batch(worker, tuple(meters), ticket, self._monotonic()))
        return batches

    def end(self, batches: Sequence[Batch]) -> None:
        """Record that no caller waits for these batches any more."""
        for batch in batches:
            self._forget(batch.meters)

    def _begin(self, meters: Sequence[Meter]) -> list[Meter]:
        now = self._monotonic()
        with self._lock:
            began = {meter: self._polling.setdefault(meter.name, now) for meter in meters}
        return [meter for meter in meters if now - began[meter] < SHARED_S]

    def _forget(self, meters: Sequence[Meter]) -> None:
        with self._lock:
            for meter in meters:
                self._polling.pop(meter.name, None)

    @contextmanager
    def guarded(self, meters: Sequence[Meter], kind: str) -> Iterator[None]:
        """Have another worker read this worker's meters if this one is killed meanwhile."""
        guardian, ticket = self._ownership.other(), uuid.uuid4().hex
        if guardian is None or not meters:
            yield
            return
        with suppress(UnavailableError):
            self._relay.claim(ticket)
            names = [meter.name for meter in meters]
            self._relay.send(guardian, f"{GUARD}{ticket}:{kind}", names)
        with self._lock:
            self._reading.add(ticket)
        try:
            yield
        finally:
            with self._lock:
                self._reading.discard(ticket)
            with suppress(UnavailableError):
                self._relay.reply(ticket, {"meters": {}})

    def reading(self) -> list[str]:
        """Return the tickets of reads in this process that another worker guards."""
        with self._lock:
            return list(self._reading)

    def guard(
        self,
        ticket: str,
        meters: Sequence[Meter],
        read_here: Callable[[list[Meter]], Mapping[str, Any]],
    ) -> Mapping[str, Any]:
        """Wait until another worker has read meters; read them here if it is killed meanwhile."""
        batch = Batch("", tuple(meters), ticket, self._monotonic())
        return self.gather([batch], lambda: None, read_here)[0]

    def gather(
        self,
        batches: Sequence[Batch],
        check_cancelled: CheckCancelled,
        read_here: Callable[[list[Meter]], Mapping[str, Any]],
    ) -> tuple[dict[str, Any], dict[Meter, EsquirellError]]:
        """Wait for the answers; return each meter's result, or why it was not read.

        Batches that no worker has begun, or whose worker is gone, are read here. Raises the error
        of `check_cancelled`.
        """
        answered: dict[str, Any] = {}
        failed: dict[Meter, EsquirellError] = {}
        waiting = {batch.ticket: batch for batch in batches}
        deadline = self._monotonic() + ANSWER_LIMIT_S
        while waiting and self._monotonic() < deadline:
            check_cancelled()
            try:
                found = self._relay.collect(list(waiting))
                lost = [batch for batch in waiting.values() if self._is_lost(batch)]
                if found is not None and found[1].get("code") == "unknown_meter":
                    # Its configuration is newer or older than ours.
                    lost.append(waiting[found[0]])
                elif found is not None:
                    _put(found[1], waiting.pop(found[0]), answered, failed)
                    lost = [batch for batch in lost if batch.ticket in waiting]
            except UnavailableError:
                # Redis is unreachable: reading twice is better than not at all.
                lost = list(waiting.values())
            for batch in lost:
                waiting.pop(batch.ticket, None)
                answered |= read_here([meter for meter in batch.meters if self._is_served(meter)])
                failed |= {
                    meter: _late(batch) for meter in batch.meters if not self._is_served(meter)
                }
        for batch in waiting.values():
            failed |= dict.fromkeys(batch.meters, _late(batch))
        return answered, failed

    def _is_lost(self, batch: Batch) -> bool:
        """Whether no worker has a batch; it is then claimed, so that none begins it."""
        if self._monotonic() - batch.sent_at < TAKE_S or self._relay.under_way(batch.ticket):
            return False
        return self._relay.claim(batch.ticket)

    def _is_served(self, meter: Meter) -> bool:
        """Whether this process can reach a meter itself."""
        return not meter.queue and not self._ownership.elsewhere


def _put(
    answer: Mapping[str, Any],
    batch: Batch,
    answered: dict[str, Any],
    failed: dict[Meter, EsquirellError],
) -> None:
    if "code" in answer:
        error = MeterUnreachableError(str(answer["code"]), str(answer["error"]))
        failed |= dict.fromkeys(batch.meters, error)
    else:
        answered |= answer["meters"] if "meters" in answer else {batch.meters[0].name: answer}


def _unserved(queue: str) -> MeterUnreachableError:
    return MeterUnreachableError(
        "unreachable",
        f"no worker serves queue {queue}: start esquirell worker --queue {queue} on its network",
    )


def _late(batch: Batch) -> MeterUnreachableError:
    queue = batch.meters[0].queue
    who = f"queue {queue}" if queue else "another worker"
    return MeterUnreachableError("no_data", f"{who} did not answer in time")
