"""Ports with a stopwatch: they do what the real ones do, and note how long it took."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from esquirell.domain.errors import MeterError
from esquirell.domain.ledger import Ledger
from esquirell.domain.meter import Meter
from esquirell.domain.reading import Reading
from esquirell.domain.status import MeterStatus
from esquirell.services.ports import Measures, ReadingStore, Transport


class MeasuredTransport:
    """Reads meters, and counts each poll with its outcome and its seconds."""

    def __init__(self, transport: Transport, measures: Measures) -> None:
        self._transport = transport
        self._measures = measures

    def read(
        self, meter: Meter, refresh: tuple[int, ...] = (), *, forced: bool = False
    ) -> Mapping[str, Any]:
        """Read as the transport behind does. Raises what that raises."""
        began = time.monotonic()
        result = "internal"
        try:
            answer = self._transport.read(meter, refresh, forced=forced)
            result = "ok"
        except MeterError as error:
            result = error.code
            raise
        finally:
            self._measures.polled(meter.name, result, time.monotonic() - began)
        return answer

    def close(self) -> None:
        """Cut all connections."""
        self._transport.close()


class MeasuredStore:
    """Stores readings, and notes how many and how long each transaction took."""

    def __init__(self, store: ReadingStore, measures: Measures) -> None:
        self._store = store
        self._measures = measures

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store as the store behind does. Raises UnavailableError."""
        began = time.monotonic()
        self._store.add(readings, statuses)
        self._measures.stored(len(readings), time.monotonic() - began)

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        """Give the ledgers of these meters. Raises UnavailableError."""
        return self._store.ledgers(names)

    def statuses(self) -> dict[str, MeterStatus]:
        """Give the statuses. Raises UnavailableError."""
        return self._store.statuses()
