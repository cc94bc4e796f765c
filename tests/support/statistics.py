"""Statistics on a real database, and what they hold, to be compared."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args

from sqlalchemy import Table, delete

from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.reading import Reading
from esquirell.domain.statistic import Periods, Statistic
from esquirell.services.retention import Retention
from esquirell.services.statistics import Statistics
from esquirell.storage import tables
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings
from esquirell.storage.statistics.store import Statistics as Store

RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
WARSAW = "Europe/Warsaw"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MIDNIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)  # in Warsaw
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def minutes(count: int, start: datetime = MIDNIGHT) -> Iterator[tuple[datetime, dict[str, float]]]:
    """Readings of each minute: 0.6 kWh in an hour, and power that repeats every ten minutes."""
    for number in range(count):
        values = {"energy_import": 100 + number / 100, "active_power": 500.0 + number % 10}
        yield start + number * MINUTE, values


class Workshop:
    """A database with readings of one meter, and those who work on it."""

    def __init__(self, database: Database, zone: str = WARSAW) -> None:
        self.database = database
        self.zone = zone
        self.now = datetime(2027, 1, 1, tzinfo=UTC)
        self.keep = timedelta(days=1)
        self.readings = Readings(database)
        self.store = Store(database, zone)
        self.statistics = Statistics(self.store, Calendar(zone), lambda: self.now)

    def put(self, *readings: tuple[datetime, dict[str, float]]) -> None:
        self.readings.add([Reading("main", at, values) for at, values in readings], {})

    def rollup(self) -> None:
        self.statistics.rollup()

    def prune(self) -> int:
        zone = Calendar(self.zone)
        retention = Retention(self.store, zone, self.keep, lambda: self.now)
        return sum(retention.prune().values())

    def found(self, resolution: Resolution) -> list[Statistic]:
        return list(self.store.query(None, Periods(resolution, *EVER)))

    def values(self, resolution: Resolution, name: str) -> list[float | None]:
        return [one.values.get(name) for one in self.found(resolution)]

    def everything(self) -> dict[str, list[Statistic]]:
        return {resolution: self.found(resolution) for resolution in RESOLUTIONS}

    def from_scratch(self) -> dict[str, list[Statistic]]:
        """Work all up anew in one go."""
        self._empty(tables.statistic, tables.rollup)
        self.rollup()
        return self.everything()

    def clear(self) -> None:
        self._empty(tables.statistic, tables.rollup, tables.reading, tables.meter)
        self.readings = Readings(self.database)

    def _empty(self, *emptied: Table) -> None:
        with self.database.write() as connection:
            for table in emptied:
                connection.execute(delete(table))
