"""Ledgers as JSON, as they are stored and spooled."""

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter

from esquirell.domain.ledger import Ledger

_LEDGER = TypeAdapter(Ledger)


def to_state(ledger: Ledger) -> Any:  # noqa: ANN401 - JSON
    """Convert a ledger to JSON values."""
    return _LEDGER.dump_python(ledger, mode="json")


def to_ledger(state: object) -> Ledger:
    """Build a ledger from JSON values. Raises ValidationError."""
    return _LEDGER.validate_python(state)


class LedgerReader:
    """Parses the ledgers of many meters; an unchanged ledger is not parsed again."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, Ledger]] = {}

    def ledger(self, meter: str, text: str) -> Ledger:
        """Read the ledger of a meter from JSON. Raises ValidationError."""
        before, ledger = self._read.get(meter, ("", None))
        if ledger is None or text != before:
            ledger = _LEDGER.validate_json(text)
            self._read[meter] = text, ledger
        return ledger

    def holds(self, meter: str, ledger: Ledger) -> bool:
        """Return whether a ledger equals the one that was read last."""
        _, before = self._read.get(meter, ("", None))
        return before is not None and not ledger.differs(before)

    def forget(self, meters: Iterable[str]) -> None:
        """Forget what was read of meters, as nothing is stored of them any more."""
        for meter in meters:
            self._read.pop(meter, None)
