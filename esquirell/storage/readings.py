"""Readings in the database: written by the polls, read back by people."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, select

from esquirell.domain.errors import UnavailableError
from esquirell.domain.ledger import Ledger
from esquirell.domain.reading import Reading
from esquirell.domain.status import MeterStatus
from esquirell.storage import meters
from esquirell.storage.books import Books
from esquirell.storage.database import Database
from esquirell.storage.history import Span, stream
from esquirell.storage.ledgers import read_ledgers, write_ledgers
from esquirell.storage.rows import Shape, to_row
from esquirell.storage.statistics import watermarks
from esquirell.storage.tables import meter, reading
from esquirell.storage.upsert import insert_new


class Readings:
    """Keeps readings and how the meters are doing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: dict[str, int] = {}
        self._books = Books()

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        """Store readings and changed statuses in one transaction; storing twice is harmless.

        The newest ledger that comes with a meter's readings is stored in the same transaction.
        Raises UnavailableError; then nothing is stored.
        """
        if not readings and not statuses:
            return
        try:
            self._ids = self._store(readings, statuses)
        except UnavailableError:
            # A database put in its place meanwhile has numbered its meters anew, and no ledgers.
            self._ids, self._books = {}, Books()
            raise

    def _store(
        self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]
    ) -> dict[str, int]:
        ids = self._ids
        names = {taken.meter for taken in readings} | statuses.keys()
        with self._database.write() as connection:
            if not names <= ids.keys():
                ids = ids | meters.ids_of(connection, names)
            if readings:
                earliest = _earliest(readings, ids)
                watermarks.share(connection, earliest)
                rows = [to_row(taken, ids[taken.meter]) for taken in readings]
                connection.execute(insert_new(connection, reading), rows)
                write_ledgers(connection, readings, ids, self._books)
                watermarks.set_back(connection, earliest)
            meters.write_statuses(connection, statuses)
        return ids

    def statuses(self) -> dict[str, MeterStatus]:
        """Give the status of every meter ever seen, by name. Raises UnavailableError."""
        with self._database.read() as connection:
            return meters.read_statuses(connection)

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        """Give the stored ledgers of these meters, by name. Raises UnavailableError."""
        with self._database.read() as connection:
            return read_ledgers(connection, names, self._books)

    def counts(self) -> dict[str, int]:
        """Count the readings of every meter ever seen, by name. Raises UnavailableError."""
        query = (
            select(meter.c.name, func.count(reading.c.measured_at).label("readings"))
            .outerjoin_from(meter, reading)
            .group_by(meter.c.name)
            .order_by(meter.c.name)
        )
        with self._database.read() as connection:
            return {row.name: row.readings for row in connection.execute(query)}

    def latest(self) -> dict[str, Reading]:
        """Give the latest reading of each meter, by name. Raises UnavailableError."""
        shape = Shape()
        query = (
            select(meter.c.name, *shape.columns)
            .join_from(meter, reading)
            .where(reading.c.measured_at == meters.newest())
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return {name: shape.to_reading(name, row) for name, *row in rows}

    def query(
        self,
        names: Sequence[str] | None,
        since: datetime,
        until: datetime,
        keys: Sequence[str] | None = None,
    ) -> Iterator[Reading]:
        """Stream the readings of some meters (None: of all) in time order.

        From `since` until just before `until`; `keys` limits the values; a name that was
        never seen has none. Raises UnavailableError, also from the iterator.
        """
        with self._database.read() as connection:
            ids = meters.known_ids(connection, names)
        return stream(self._database, ids, Span(since, until, Shape(keys)))


def _earliest(readings: Sequence[Reading], ids: Mapping[str, int]) -> dict[int, datetime]:
    """Give the earliest moment among the readings of each meter, by its id."""
    found: dict[int, datetime] = {}
    for taken in readings:
        meter_id = ids[taken.meter]
        found[meter_id] = min(found.get(meter_id, taken.measured_at), taken.measured_at)
    return found
