"""The ledgers of the meters, as JSON beside their readings."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Text, bindparam, cast, select
from sqlalchemy.engine import Connection

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import Ledger, Reading
from esquirell.storage.meters import filled_up
from esquirell.storage.tables import ledger, meter
from esquirell.storage.upsert import insert_or_update

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

    def forget(self, names: Iterable[str]) -> None:
        """Forget what was read of meters, as nothing is stored of them any more."""
        for name in names:
            self._read.pop(name, None)


# As text: mostly it is the one that was read before.
_STORED = (
    select(meter.c.name, cast(ledger.c.state, Text).label("state"))
    .join_from(ledger, meter)
    .where(meter.c.name.in_(bindparam("names", expanding=True)))
)


def read_ledgers(
    connection: Connection, names: Collection[str], reader: LedgerReader
) -> dict[str, Ledger]:
    """Return the ledgers of these meters, by name. Raises UnavailableError for a damaged one."""
    return {name: _read(name, state, reader) for name, state in _stored(connection, names)}


def write_ledgers(
    connection: Connection,
    readings: Iterable[Reading],
    ids: Mapping[str, int],
    reader: LedgerReader,
) -> None:
    """Store the newest ledger of each meter where it differs from the stored one."""
    # Those of two threads may come in either order.
    in_order = sorted(readings, key=lambda taken: taken.measured_at)
    latest = {taken.meter: taken.ledger for taken in in_order if taken.ledger}
    newest = {name: ledger for name, ledger in latest.items() if not reader.holds(name, ledger)}
    if not newest:
        return
    for name, state in _stored(connection, newest):
        if not _replaces(newest[name], name, state, reader):
            del newest[name]
    rows = [{"meter_id": ids[name], "state": to_state(new)} for name, new in sorted(newest.items())]
    if rows:
        connection.execute(insert_or_update(connection.dialect.name, ledger, ("state",)), rows)


def _stored(connection: Connection, names: Collection[str]) -> list[tuple[str, str]]:
    rows = connection.execute(_STORED, {"names": filled_up(names)})
    return [(name, state) for name, state in rows]


def _replaces(new: Ledger, name: str, state: str, reader: LedgerReader) -> bool:
    try:
        stored = reader.ledger(name, state)
    except ValidationError:
        return True  # readings must not wait for ever because of it
    return new.differs(stored) and new.follows(stored)


def _read(name: str, state: str, reader: LedgerReader) -> Ledger:
    try:
        return reader.ledger(name, state)
    except ValidationError as error:
        raise UnavailableError(
            f"what is stored of the counters of {name} can't be read "
            f"({error.error_count()} faults): restore a backup"
        ) from None
