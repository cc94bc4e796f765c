"""What is stored: the stores of one database, and the services that work on them alone.

Commands that only read load this part of the composition root and no other.
"""

from collections.abc import Callable
from functools import cached_property

from esquirell.domain.periods import Calendar
from esquirell.services.costs import Costs
from esquirell.services.ports import Clock
from esquirell.services.statistics import Statistics
from esquirell.settings import Settings
from esquirell.storage.commands import CommandLog
from esquirell.storage.database import Database
from esquirell.storage.prices import Prices
from esquirell.storage.readings import Readings
from esquirell.storage.schedules import Schedules
from esquirell.storage.statistics.store import Statistics as StatisticsStore


class Stores:
    """The stores of one database, each built on first use; `zone` is that of its days."""

    def __init__(self, database: Database, zone: str) -> None:
        self.database = database
        self._zone = zone

    @cached_property
    def readings(self) -> Readings:
        """The stored readings."""
        return Readings(self.database)

    @cached_property
    def schedules(self) -> Schedules:
        """The stored schedules."""
        return Schedules(self.database)

    @cached_property
    def commands(self) -> CommandLog:
        """The log of commands."""
        return CommandLog(self.database)

    @cached_property
    def prices(self) -> Prices:
        """The imported prices of tariffs."""
        return Prices(self.database)

    @cached_property
    def periods(self) -> StatisticsStore:
        """The stored statistics."""
        return StatisticsStore(self.database, self._zone)


class Storage(Stores):
    """The database of the settings; `settings` returns those in force."""

    def __init__(self, settings: Callable[[], Settings], clock: Clock) -> None:
        given = settings()
        database = Database(given.database_url, durability=given.database.durability)
        super().__init__(database, given.timezone)
        self._settings = settings
        self._clock = clock
        self.calendar = Calendar(given.timezone)

    @cached_property
    def statistics(self) -> Statistics:
        """The service that works up statistics."""
        return Statistics(self.periods, self.calendar, self._clock)

    @cached_property
    def costs(self) -> Costs:
        """The service that computes what energy costs."""
        return Costs(
            self.periods,
            self.prices,
            lambda: self._settings().tariffs,
            self.calendar,
            self._clock,
        )


def stores_at(url: str, zone: str) -> Stores:
    """Build the stores of the database at `url`. Raises ConfigError for a URL that can't work."""
    return Stores(Database(url), zone)
