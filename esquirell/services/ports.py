"""Ports: what the services need from outside, in terms of the domain."""

# Ports are only types: importing one must not load the types of the others.
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from esquirell.domain.decoding import Decoded
    from esquirell.domain.errors import EsquirellError
    from esquirell.domain.meter import Meter
    from esquirell.domain.process import Process
    from esquirell.domain.profile import Profile
    from esquirell.domain.raw_datapoints import Question, RawDatapoints
    from esquirell.domain.reading import Ledger, MeterStatus, Reading
    from esquirell.domain.tasks import HeldTask

CheckCancelled = Callable[[], None]
"""Raises what ends slow work early when it was cancelled."""


class Transport(Protocol):
    """Reads the raw datapoints of meters."""

    def ask(
        self,
        questions: Sequence[Question],
        answered: Callable[[Question, RawDatapoints | EsquirellError], None],
    ) -> None:
        """Read several meters in parallel; `answered` gets each answer, in any thread.

        An error is a MeterUnreachableError or MeterRejectedError, unless it is an unexpected one.
        """

    def close(self) -> None:
        """Close all lines: reads under way end with an error at once."""


class Profiles(Protocol):
    """Knows the meaning of each meter's datapoints."""

    def of(self, meter: Meter) -> Profile:
        """Return the profile of a meter, as far as it is known yet. Raises ConfigError."""

    def decode(self, meter: Meter, answer: Mapping[str, Any]) -> Decoded:
        """Decode an answer; its profile may be chosen only now. Raises ConfigError."""


class ReadingStore(Protocol):
    """Stores readings and the status of the meters."""

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store readings and changed statuses in one transaction; doing so twice is harmless.

        The newest ledger of each meter is stored in the same transaction.
        Raises UnavailableError; then nothing is stored.
        """

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        """Return the stored ledgers of these meters, by name. Raises UnavailableError."""

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        """Begin to look up ledgers; return what waits for them. Both raise UnavailableError."""

    def statuses(self) -> dict[str, MeterStatus]:
        """Return the status of every meter ever seen, by name. Raises UnavailableError."""

    def try_out(self) -> None:
        """Write a row and take it back. Raises UnavailableError that says why it can't be."""


class StoredReadings(Protocol):
    """The stored readings."""

    def query(
        self,
        names: Sequence[str] | None,
        since: datetime,
        until: datetime,
        keys: Sequence[str] | None = None,
    ) -> Iterator[Reading]:
        """Stream the readings of some meters (None: of all) in time order.

        Raises UnavailableError, also from the iterator.
        """


class Spool(Protocol):
    """Keeps readings on this machine while the database is unreachable."""

    def add(self, readings: Iterable[Reading]) -> None:
        """Keep readings, so that a power cut loses none. Raises SpoolError."""

    def count(self) -> int:
        """Count the readings that wait, for the database or for the time. Raises SpoolError."""

    def oldest(self, limit: int, after: int = 0) -> tuple[Sequence[Reading], int]:
        """Return the readings that have waited longest, and the number of the last one.

        Only those behind the number `after`. Raises SpoolError.
        """

    def forget(self, number: int) -> None:
        """Drop the readings up to a number. Raises SpoolError."""

    def set_aside(self, strange: Mapping[int, Exception]) -> None:
        """Move readings that can't be stored out of the way, by number. Raises SpoolError."""


class Publisher(Protocol):
    """Publishes readings, statuses and events; never waits for the broker or raises."""

    def reading(self, reading: Reading, keys: tuple[str, ...]) -> None:
        """Publish a reading in the full shape of `keys`, now or at the end of its period."""

    def together(self) -> AbstractContextManager[None]:
        """Send what is published meanwhile in one go, at the end."""

    def publish_due(self) -> bool:
        """Publish what was held back for a period that is over; return whether more is held."""

    def status(self, meter: str, status: MeterStatus, *, reported: bool = False) -> None:
        """Publish the availability of a meter, which may follow from what it reported."""

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Publish that something happened."""


class Queues(Protocol):
    """Counts the tasks waiting for a worker."""

    def backlog(self) -> tuple[int, float]:
        """Count what waits, and for how long (s) the oldest has. Raises UnavailableError."""


class Presence(Protocol):
    """Tracks which roles and processes are alive.

    `slow` says that Redis took long when the processes were listed; empty if it did not.
    """

    slow: str

    def roles(self) -> Mapping[str, str]:
        """Return the living roles and since when each lives (ISO 8601). Raises UnavailableError."""

    def processes(self) -> Sequence[Process]:
        """Return the processes that are alive, and those that vanished.

        Raises UnavailableError, also if Redis does not do what the roles need.
        """


class HeldTasks(Protocol):
    """Tracks which tasks workers hold."""

    def find(self, task_id: str) -> HeldTask | None:
        """Return the worker that holds a task, None if none reports it. Raises UnavailableError."""


class Relay(Protocol):
    """Has other workers read meters. All methods raise UnavailableError."""

    def send(self, worker: str, kind: str, meters: Sequence[str]) -> str:
        """Send a batch to a worker; return the ticket of its answer.

        `kind` is `scheduled`, `on_demand`, `trial` or `capture`.
        """

    def receive(self) -> Mapping[str, Any] | None:
        """Wait a moment for a batch that this worker is to read: `kind`, `meters`, `ticket`."""

    def claim(self, ticket: str) -> bool:
        """Claim the work of a ticket; return False if another worker has."""

    def keep(self, tickets: Collection[str]) -> None:
        """Renew the claim on the work of tickets."""

    def under_way(self, ticket: str) -> bool:
        """Whether a worker works on a ticket."""

    def reply(self, ticket: str, answer: Mapping[str, Any]) -> None:
        """Answer to a ticket."""

    def collect(self, tickets: Sequence[str]) -> tuple[str, Mapping[str, Any]] | None:
        """Wait a moment for the answer to one of these tickets."""
