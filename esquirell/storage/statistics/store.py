"""Statistics in the database: each transaction is exclusive for its meters."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import CursorResult, Executable
from sqlalchemy.engine import Connection

from esquirell.domain.cost import HourlyEnergy
from esquirell.domain.hour import Batch, Counters, HeldValues
from esquirell.domain.periods import Resolution
from esquirell.domain.statistic import Periods, Progress, Statistic, Watermark
from esquirell.storage import meters
from esquirell.storage.database import Database
from esquirell.storage.statistics import statements, streams, watermarks
from esquirell.storage.statistics.statements import (
    counters_json,
    local,
    read_counters,
    to_row,
)
from esquirell.storage.tables import insert_or_update, statistic


class Statistics:
    """Stores the statistics and their watermarks; `zone` is the time zone of their days."""

    def __init__(self, database: Database, zone: str) -> None:
        self._database = database
        self._zone = zone

    def meters(self) -> list[str]:
        """Return the names of the known meters. Raises UnavailableError."""
        with self._database.read() as connection:
            return sorted(meters.known_ids(connection))

    def progress(self, names: Sequence[str]) -> list[Progress]:
        """Return how far each of these meters that has readings is computed.

        Raises UnavailableError.
        """
        with self._database.read() as connection:
            return watermarks.progress(connection, names, self._zone)

    @contextmanager
    def transaction(self, meter: str) -> Iterator["Transaction"]:
        """Open a transaction, rolled back by any error. Raises UnavailableError."""
        with self.transactions([meter]) as turns:
            yield next(turns)

    @contextmanager
    def transactions(self, names: Sequence[str]) -> Iterator[Iterator["Transaction"]]:
        """Open one transaction on several meters, yielded in turn; rolled back by any error.

        Raises UnavailableError, also from the iterator.
        """
        with self._database.write() as connection:
            yield self._turns(connection, meters.ids_of(connection, names))

    def _turns(self, connection: Connection, ids: Mapping[str, int]) -> Iterator["Transaction"]:
        # In the order in which readings are stored, or two processes could deadlock.
        for name, meter_id in sorted(ids.items(), key=itemgetter(1)):
            watermarks.lock(connection, meter_id)
            yield Transaction(connection, name, meter_id, self._zone)

    def rewind(self, names: Sequence[str], since: datetime) -> None:
        """Set watermarks back to just before a given time. Raises UnavailableError."""
        with self._database.write() as connection:
            ids = meters.known_ids(connection, names)
            watermarks.set_back(connection, dict.fromkeys(ids.values(), since))

    def query(self, names: Collection[str] | None, periods: Periods) -> Iterator[Statistic]:
        """Stream the statistics of some meters (None: of all) in time order.

        An unknown name has none. Raises UnavailableError, also from the iterator.
        """
        return streams.periods(self._database, names, periods)

    def energies(self, meter: str, since: datetime, until: datetime) -> Iterator[HourlyEnergy]:
        """Stream the energy of a meter hour by hour, in time order.

        Raises UnavailableError, also from the iterator.
        """
        return streams.energies(self._database, meter, since, until)

    def first_with_hours(self, names: Sequence[str], since: datetime, until: datetime) -> str:
        """Return the first of these meters that has hours in a span, "" if none has any.

        Raises UnavailableError.
        """
        return streams.first_with_hours(self._database, names, since, until)


class Transaction:
    """A transaction's work on one meter; see the port of this name."""

    def __init__(self, connection: Connection, meter: str, meter_id: int, zone: str) -> None:
        self._connection = connection
        self.meter = meter
        self._id = meter_id
        self._zone = zone

    @property
    def watermark(self) -> Watermark | None:
        """How far the meter's statistics are computed; None if not at all."""
        row = self._run(statements.WATERMARK).first()
        return Watermark(*row) if row else None

    def first_reading(self, after: datetime | None, until: datetime) -> datetime | None:
        """Return the time of the first reading after one time and before another."""
        if after is None:
            return self._run(statements.FIRST_READING, until=until).scalar()
        return self._run(statements.FIRST_READING_AFTER, after=after, until=until).scalar()

    def new_readings(
        self, after: datetime | None, until: datetime
    ) -> tuple[datetime | None, datetime | None]:
        """Return the times of the first reading after a given time and of the last before it."""
        if after is None:
            return self.first_reading(None, until), None
        first, before = self._run(statements.NEW_READINGS, after=after, until=until).one()
        return first, before

    def readings(self, since: datetime, until: datetime) -> Batch:
        """Return the readings from `since` until just before `until`."""
        return statements.COLUMNS.to_batch(
            self._run(statements.READINGS, since=since, until=until).all()
        )

    def first_readings(self, since: datetime, until: datetime) -> tuple[HeldValues | None, Batch]:
        """Return the readings, and the last one before `since`."""
        rows = self._run(statements.READINGS_AND_ONE_BEFORE, since=since, until=until).all()
        if rows and rows[0].measured_at < since:
            return statements.COLUMNS.to_batch(rows[:1]).held(), statements.COLUMNS.to_batch(
                rows[1:]
            )
        return None, statements.COLUMNS.to_batch(rows)

    def counters_before(self, start: datetime) -> Counters:
        """Return the counters at the end of the last hour with readings before `start`."""
        found = self._run(statements.COUNTERS_BEFORE, resolution="hour", until=start).scalar()
        return read_counters(found or {})

    def kept(self, since: datetime, until: datetime) -> Mapping[float, int]:
        """Return how many readings each hour had, by its start (unix time)."""
        rows = self._run(statements.KEPT, resolution="hour", since=since, until=until)
        return {start.timestamp(): readings for start, readings in rows}

    def statistics(
        self, resolution: Resolution, since: datetime, until: datetime
    ) -> list[Statistic]:
        """Return the statistics that begin from `since` until just before `until`."""
        rows = self._run(statements.STATISTICS, resolution=resolution, since=since, until=until)
        return [statements.ALL.to_statistic(self.meter, row) for row in rows.all()]

    def replace_hours(
        self, hours: Iterable[tuple[Statistic, Counters | None]], gone: Collection[datetime]
    ) -> None:
        """Replace hours, with their counters; remove the `gone` ones."""
        for start in gone:
            self._run(statements.REMOVE_ONE, resolution="hour", since=start)
        self._write(
            to_row(new, "hour", self._id, self._zone) | {"counters": counters_json(counters)}
            for new, counters in hours
        )

    def replace(self, resolution: Resolution, start: datetime, new: Statistic | None) -> None:
        """Replace the statistic that starts at `start`; None removes it."""
        if new is None:
            self._run(statements.REMOVE_ONE, resolution=resolution, since=start)
        else:
            self._write([to_row(new, resolution, self._id, self._zone)])

    def _write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows, replacing those with the same key; omit columns that no row has."""
        listed = list(rows)
        filled = {name for row in listed for name, value in row.items() if value is not None}
        if listed:
            write = insert_or_update(self._connection.dialect.name, statistic, statements.WRITTEN)
            self._connection.execute(
                write, [{name: row[name] for name in sorted(filled)} for row in listed]
            )

    def change_zone(self) -> None:
        """Remove days and months, whose bounds have changed, and rename the hours."""
        self._run(statements.REMOVE_DAYS)
        starts = self._run(statements.STARTS, resolution="hour").scalars().all()
        if starts:
            rows = [
                {"meter": self._id, "of": start, "named": local(start, self._zone)}
                for start in starts
            ]
            self._connection.execute(statements.NAME_ANEW, rows)

    def set_watermark(self, done_to: datetime, zone: str) -> None:
        """Record how far the meter's statistics are computed, and in which time zone."""
        if not self._run(statements.SET_WATERMARK, to=done_to, of=zone).rowcount:
            row = {"meter_id": self._id, "done_to": done_to, "zone": zone}
            self._connection.execute(statements.INSERT_WATERMARK, row)

    def prune(self, hours: Sequence[tuple[datetime, datetime]]) -> int:
        """Remove the readings of hours except the first and last of each; return how many."""
        return sum(self._thin_out(since, until) for since, until in hours)

    def _thin_out(self, since: datetime, until: datetime) -> int:
        first, last, begins = self._run(statements.ENDS, since=since, until=until).one()
        if first == last or begins:
            return 0
        return self._run(statements.THIN_OUT, since=first, until=last).rowcount

    def set_pruned_to(self, moment: datetime) -> None:
        """Record how far the readings are pruned."""
        self._run(statements.SET_PRUNED_TO, to=moment)

    def _run(self, statement: Executable, **given: object) -> CursorResult[*tuple[Any, ...]]:
        found = self._connection.execute(statement, {"meter": self._id} | given)
        assert isinstance(found, CursorResult)  # noqa: S101 - for the type checker
        return found
