"""Statistics in the database: one transaction per meter and step, alone on that meter."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from esquirell.domain.hours import Batch, Counters, Kept
from esquirell.domain.periods import Resolution
from esquirell.domain.statistic import Statistic, Watermark
from esquirell.storage import meters, watermarks
from esquirell.storage.database import Database
from esquirell.storage.statistic_rows import (
    StatisticShape,
    counters_json,
    read_counters,
    to_row,
)
from esquirell.storage.statistics_history import Periods, stream
from esquirell.storage.tables import QUANTITY_COLUMNS, reading, rollup, statistic
from esquirell.storage.upsert import insert_or_update

_ALL = StatisticShape()

# Built once: with so many columns that takes longer than to run them.
_READINGS = (
    select(reading.c.measured_at, reading.c.extra, *(reading.c[key] for key in QUANTITY_COLUMNS))
    .where(reading.c.meter_id == bindparam("meter"))
    .where(reading.c.measured_at >= bindparam("since"))
    .where(reading.c.measured_at < bindparam("until"))
    .order_by(reading.c.measured_at)
)
_STATISTICS = (
    select(*_ALL.columns)
    .where(statistic.c.meter_id == bindparam("meter"))
    .where(statistic.c.resolution == bindparam("resolution"))
    .where(statistic.c.start >= bindparam("since"), statistic.c.start < bindparam("until"))
    .order_by(statistic.c.start)
)


class Statistics:
    """Keeps the statistics, and how far they are worked up; `zone` is that of their days."""

    def __init__(self, database: Database, zone: str) -> None:
        self._database = database
        self._zone = zone

    def meters(self) -> list[str]:
        """Name the meters that have been seen. Raises UnavailableError."""
        with self._database.read() as connection:
            return sorted(meters.known_ids(connection))

    @contextmanager
    def turn(self, meter: str) -> Iterator["Turn"]:
        """Open a transaction, undone by any error. Raises UnavailableError."""
        with self._database.write() as connection:
            meter_id = meters.ids_of(connection, [meter])[meter]
            watermarks.lock(connection, meter_id)
            yield Turn(connection, meter, meter_id, self._zone)

    def rewind(self, names: Sequence[str], since: datetime) -> None:
        """Set watermarks back to just before a moment. Raises UnavailableError."""
        with self._database.write() as connection:
            ids = meters.known_ids(connection, names)
            watermarks.set_back(connection, dict.fromkeys(ids.values(), since))

    def query(self, names: Collection[str] | None, periods: Periods) -> Iterator[Statistic]:
        """Stream the statistics of some meters (None: of all) in time order.

        A name that was never seen has none. Raises UnavailableError, also from the iterator.
        """
        return stream(self._database, names, periods)


class Turn:
    """One transaction on one meter; see the port of this name."""

    def __init__(self, connection: Connection, meter: str, meter_id: int, zone: str) -> None:
        self._connection = connection
        self._meter = meter
        self._id = meter_id
        self._zone = zone

    @property
    def watermark(self) -> Watermark | None:
        """Up to where the meter is worked up; None when nothing is."""
        query = select(rollup.c.done_to, rollup.c.zone, rollup.c.pruned_to)
        row = self._connection.execute(query.where(rollup.c.meter_id == self._id)).first()
        return Watermark(*row) if row else None

    def first_reading(self, after: datetime | None, until: datetime) -> datetime | None:
        """Give the moment of the first reading after a moment and before another."""
        query = (
            select(reading.c.measured_at)
            .where(reading.c.meter_id == self._id, reading.c.measured_at < until)
            .order_by(reading.c.measured_at)
            .limit(1)
        )
        if after is not None:
            query = query.where(reading.c.measured_at > after)
        return self._connection.scalar(query)

    def readings(self, since: datetime, until: datetime) -> Batch:
        """Give the readings from `since` until just before `until`."""
        found = {"meter": self._id, "since": since, "until": until}
        rows = self._connection.execute(_READINGS, found).all()
        moments, extras, *wide = zip(*rows, strict=True)
        values: dict[str, Sequence[float | None]] = {
            key: column
            for key, column in zip(QUANTITY_COLUMNS, wide, strict=True)
            if column.count(None) < len(column)
        }
        return Batch([moment.timestamp() for moment in moments], values | _by_key(extras))

    def counters_before(self, start: datetime) -> Counters:
        """Give the counters at the end of the last hour with readings before `start`."""
        query = (
            select(statistic.c.counters)
            .where(*self._of("hour"), statistic.c.start < start)
            .where(statistic.c.readings > 0)
            .order_by(statistic.c.start.desc())
            .limit(1)
        )
        return read_counters(self._connection.scalar(query) or {})

    def kept(self, since: datetime, until: datetime) -> Mapping[float, Kept]:
        """Give the hours that were worked up before, by their beginnings (unix time)."""
        query = select(statistic.c.start, statistic.c.readings, statistic.c.counters).where(
            *self._of("hour"), *_between(since, until)
        )
        return {
            start.timestamp(): Kept(count, None if counters is None else read_counters(counters))
            for start, count, counters in self._connection.execute(query)
        }

    def statistics(
        self, resolution: Resolution, since: datetime, until: datetime
    ) -> list[Statistic]:
        """Give the statistics that begin from `since` until just before `until`."""
        found = {"meter": self._id, "resolution": resolution, "since": since, "until": until}
        rows = self._connection.execute(_STATISTICS, found).all()
        return [_ALL.to_statistic(self._meter, row) for row in rows]

    def replace_hours(
        self,
        since: datetime,
        until: datetime,
        hours: Iterable[tuple[Statistic, Counters | None]],
        staying: Collection[datetime],
    ) -> None:
        """Put hours, with their counters, in the place of all but the `staying` ones."""
        gone = delete(statistic).where(*self._of("hour"), *_between(since, until))
        self._connection.execute(gone.where(statistic.c.start.not_in(staying)))
        rows = [
            to_row(new, "hour", self._id, self._zone) | {"counters": counters_json(counters)}
            for new, counters in hours
        ]
        self._connection.execute(insert(statistic), rows)

    def replace(self, resolution: Resolution, start: datetime, new: Statistic | None) -> None:
        """Put a statistic in the place of the one that begins at `start`; None removes it."""
        old = delete(statistic).where(*self._of(resolution), statistic.c.start == start)
        self._connection.execute(old)
        if new is not None:
            row = to_row(new, resolution, self._id, self._zone)
            self._connection.execute(insert(statistic), row)

    def forget_days(self) -> None:
        """Remove the days and months: their borders have changed."""
        days = delete(statistic).where(statistic.c.meter_id == self._id)
        self._connection.execute(days.where(statistic.c.resolution != "hour"))

    def set_watermark(self, done_to: datetime, zone: str) -> None:
        """Note up to where the meter is worked up, and in which time zone."""
        changed = insert_or_update(self._connection, rollup, ("done_to", "zone"))
        row = {"meter_id": self._id, "done_to": done_to, "zone": zone}
        self._connection.execute(changed, row)

    def prune(self, hours: Sequence[tuple[datetime, datetime]]) -> int:
        """Remove the readings of hours but the first and last of each; give how many."""
        return sum(self._thin_out(since, until) for since, until in hours)

    def _thin_out(self, since: datetime, until: datetime) -> int:
        within = (
            reading.c.meter_id == self._id,
            reading.c.measured_at >= since,
            reading.c.measured_at < until,
        )
        ends = select(func.min(reading.c.measured_at), func.max(reading.c.measured_at))
        first, last = self._connection.execute(ends.where(*within)).one()
        if first == last:
            return 0
        between = (reading.c.measured_at > first, reading.c.measured_at < last)
        return self._connection.execute(delete(reading).where(*within, *between)).rowcount

    def set_pruned_to(self, moment: datetime) -> None:
        """Note up to where the readings are thinned out."""
        mine = update(rollup).where(rollup.c.meter_id == self._id)
        self._connection.execute(mine.values(pruned_to=moment))

    def _of(self, resolution: Resolution) -> tuple[Any, ...]:
        return (statistic.c.meter_id == self._id, statistic.c.resolution == resolution)


def _between(since: datetime, until: datetime) -> tuple[Any, ...]:
    return (statistic.c.start >= since, statistic.c.start < until)


def _by_key(extras: Sequence[Mapping[str, float] | None]) -> dict[str, Sequence[float | None]]:
    keys = dict.fromkeys(key for extra in extras for key in extra or ())
    return {key: [(extra or {}).get(key) for extra in extras] for key in keys}
