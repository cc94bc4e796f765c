"""Ports that measure: they call the real ones and record how long it took."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from esquirell.domain.errors import EsquirellError
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.services.ports import Measures, ReadingStore, Transport


class MeasuredTransport:
    """Reads meters, and counts each poll with its outcome and duration."""

    def __init__(self, transport: Transport, measures: Measures) -> None:
        self._transport = transport
        self._measures = measures

    def ask(
        self,
        questions: Sequence[Question],
        answered: Callable[[Question, RawDatapoints | EsquirellError], None],
    ) -> None:
        """Read as the wrapped transport does."""
        began = time.monotonic()

        def note(question: Question, answer: RawDatapoints | EsquirellError) -> None:
            result = answer.code if isinstance(answer, EsquirellError) else "ok"
            self._measures.polled(question.meter.name, result, time.monotonic() - began)
            answered(question, answer)

        self._transport.ask(questions, note)

    def close(self) -> None:
        """Close all lines."""
        self._transport.close()


class MeasuredStore:
    """Stores readings, and records the size and duration of each transaction."""

    def __init__(self, store: ReadingStore, measures: Measures) -> None:
        self._store = store
        self._measures = measures

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store as the wrapped store does. Raises UnavailableError."""
        began = time.monotonic()
        self._store.add(readings, statuses)
        self._measures.stored(len(readings), time.monotonic() - began)

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        """Return the ledgers of these meters. Raises UnavailableError."""
        return self._store.ledgers(names)

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        """Begin to look up ledgers. Raises UnavailableError."""
        return self._store.look_up(names)

    def statuses(self) -> dict[str, MeterStatus]:
        """Return the statuses. Raises UnavailableError."""
        return self._store.statuses()

    def try_out(self) -> None:
        """Write a row and roll it back. Raises UnavailableError."""
        self._store.try_out()
