"""Readings in the database, stored by polls together with statuses and ledgers."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from esquirell.domain.errors import UnstorableError
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.storage import direct, meters
from esquirell.storage.database import Database
from esquirell.storage.history import ReadingHistory
from esquirell.storage.meters import LedgerReader, read_ledgers, write_ledgers
from esquirell.storage.statistics import watermarks
from esquirell.storage.tables import QUANTITY_COLUMNS, insert_new, reading

_WIDE = frozenset(QUANTITY_COLUMNS)
# Raised for values that can't be stored, such as a number too large for a database.
_NO_READING = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Readings(ReadingHistory):
    """Stores readings and the status of the meters."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._ledger_reader = LedgerReader()

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store readings and changed statuses in one transaction; doing so twice is harmless.

        The newest ledger of each meter is stored in the same transaction. Raises
        UnavailableError; then nothing is stored. It is an UnstorableError if one of these readings
        is the cause.
        """
        if not readings and not statuses:
            return
        try:
            self._store(readings, statuses)
        except BaseException as error:
            # What was rolled back is not stored; a database that was replaced has other ledgers.
            self._ledger_reader = LedgerReader()
            if isinstance(error, _NO_READING):
                raise UnstorableError(f"a reading can't be stored: {error!r}") from error
            raise

    def _store(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        names = {taken.meter for taken in readings} | statuses.keys()
        with self._database.write() as connection:
            # In each transaction: SQLite reuses the id of a forgotten meter for the next one.
            before = meters.stored(connection, names)
            if new := names - before.keys():
                meters.ids_of(connection, new)
                self._ledger_reader.forget(new)
                before = meters.stored(connection, names)
            ids = {name: meter.id for name, meter in before.items()}
            if readings:
                earliest = _earliest(readings, ids)
                watermarks.share(connection, earliest)
                rows = [_row(taken, ids[taken.meter]) for taken in readings]
                direct.insert(connection, insert_new(connection.dialect.name, reading), rows)
                _retract(connection, readings, ids)
                write_ledgers(connection, readings, ids, self._ledger_reader)
                watermarks.set_back(connection, earliest)
            meters.write_statuses(connection, statuses, before)

    def try_out(self) -> None:
        """Write a row and roll it back. Raises UnavailableError with the reason if that fails."""
        self._database.try_out()

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        """Return the stored ledgers of these meters, by name.

        Raises UnavailableError, and UnreadableError for a meter whose ledger is damaged.
        """
        with self._database.read() as connection:
            return read_ledgers(connection, names, self._ledger_reader)

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        """Return a function that looks up the ledgers of these meters; nothing happens before."""
        return partial(self.ledgers, names)


def _earliest(readings: Sequence[Reading], ids: Mapping[str, int]) -> dict[int, datetime]:
    """Return the earliest time stored or retracted for each meter, by its id."""
    found: dict[int, datetime] = {}
    for taken in readings:
        meter_id = ids[taken.meter]
        earliest = min((taken.measured_at, *taken.retracted.values()))
        found[meter_id] = min(found.get(meter_id, earliest), earliest)
    return found


def _retract(connection: Connection, readings: Iterable[Reading], ids: Mapping[str, int]) -> None:
    """Remove the counter values that readings retract from earlier ones.

    These are first values of counters that turned out to be wrong.
    """
    for taken in readings:
        for key, at in taken.retracted.items():
            _take_out(connection, ids[taken.meter], key, at)


def _take_out(connection: Connection, meter_id: int, key: str, at: datetime) -> None:
    is_it = (reading.c.meter_id == meter_id, reading.c.measured_at == at)
    if key in QUANTITY_COLUMNS:
        connection.execute(update(reading).where(*is_it).values({key: None}))
        return
    extra = connection.scalar(select(reading.c.extra).where(*is_it))
    if extra and key in extra:
        rest = {name: value for name, value in extra.items() if name != key}
        connection.execute(update(reading).where(*is_it).values(extra=rest or None))


def _row(taken: Reading, meter_id: int) -> list[Any]:
    """Return a reading in the order of the columns; absent values are null."""
    values = taken.values
    extra = None if values.keys() <= _WIDE else {k: v for k, v in values.items() if k not in _WIDE}
    begins = sorted(taken.begins) or None
    ranges = {name: list(seen) for name, seen in taken.ranges.items()} or None
    wide = [values.get(key) for key in QUANTITY_COLUMNS]
    return [meter_id, taken.measured_at, *wide, extra, taken.holds_s, begins, ranges]
