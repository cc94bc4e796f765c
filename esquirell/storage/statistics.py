"""Statistics in the database: one transaction per meter and step, alone on that meter."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
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
from esquirell.storage.tables import QUANTITY_COLUMNS, reading, rollup, statistic
from esquirell.storage.upsert import insert_or_update

_ALL = StatisticShape()


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
        query = select(rollup.c.done_to, rollup.c.zone).where(rollup.c.meter_id == self._id)
        row = self._connection.execute(query).first()
        return Watermark(row.done_to, row.zone) if row else None

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
        query = (
            select(reading.c.measured_at, reading.c.extra, *_WIDE)
            .where(reading.c.meter_id == self._id)
            .where(reading.c.measured_at >= since, reading.c.measured_at < until)
            .order_by(reading.c.measured_at)
        )
        moments, extras, *wide = zip(*self._connection.execute(query), strict=True)
        values: dict[str, Sequence[float | None]] = {
            key: column
            for key, column in zip(QUANTITY_COLUMNS, wide, strict=True)
            if any(value is not None for value in column)
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
        query = select(
            statistic.c.start, statistic.c.readings, statistic.c.counters
        ).where(*self._of("hour"), *_between(since, until))
        return {
            start.timestamp(): Kept(count, None if counters is None else read_counters(counters))
            for start, count, counters in self._connection.execute(query)
        }

    def statistics(
        self, resolution: Resolution, since: datetime, until: datetime
    ) -> list[Statistic]:
        """Give the statistics that begin from `since` until just before `until`."""
        query = (
            select(*_ALL.columns)
            .where(*self._of(resolution), *_between(since, until))
            .order_by(statistic.c.start)
        )
        return [_ALL.to_statistic(self._meter, row) for row in self._connection.execute(query)]

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

    def _of(self, resolution: Resolution) -> tuple[Any, ...]:
        return (statistic.c.meter_id == self._id, statistic.c.resolution == resolution)


_WIDE = tuple(reading.c[key] for key in QUANTITY_COLUMNS)


def _between(since: datetime, until: datetime) -> tuple[Any, ...]:
    return (statistic.c.start >= since, statistic.c.start < until)


def _by_key(extras: Sequence[Mapping[str, float] | None]) -> dict[str, Sequence[float | None]]:
    keys = dict.fromkeys(key for extra in extras for key in extra or ())
    return {key: [(extra or {}).get(key) for extra in extras] for key in keys}
