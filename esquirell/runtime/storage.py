"""The stores of one database, and the services that need nothing else.

Each is imported on first use, so that a read-only command loads nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from esquirell.domain.clock import Clock
from esquirell.domain.periods import Calendar
from esquirell.settings import Settings, load
from esquirell.settings.state_files import StateDirectory
from esquirell.storage.database import Database

if TYPE_CHECKING:
    from esquirell.services.costs import Costs
    from esquirell.services.freshness import FreshStatistics
    from esquirell.services.history import History
    from esquirell.services.schedules import ScheduleView
    from esquirell.services.statistics import Statistics
    from esquirell.storage.commands import CommandLog
    from esquirell.storage.history import ReadingHistory
    from esquirell.storage.prices import Prices
    from esquirell.storage.readings import Readings
    from esquirell.storage.schedules import Schedules
    from esquirell.storage.spool import Spool
    from esquirell.storage.statistics.store import Statistics as StatisticsStore


class Stores:
    """The stores of one database, each built on first use; `zone` is that of its days."""

    def __init__(self, database: Database, zone: str) -> None:
        self.database = database
        self._zone = zone

    @cached_property
    def readings(self) -> "Readings":
        """The stored readings, for writing and reading."""
        from esquirell.storage.readings import Readings

        return Readings(self.database)

    @cached_property
    def reading_history(self) -> "ReadingHistory":
        """The stored readings, for reading only."""
        from esquirell.storage.history import ReadingHistory

        return ReadingHistory(self.database)

    @cached_property
    def periods(self) -> "StatisticsStore":
        from esquirell.storage.statistics.store import Statistics as StatisticsStore

        return StatisticsStore(self.database, self._zone)

    @cached_property
    def schedules(self) -> "Schedules":
        from esquirell.storage.schedules import Schedules

        return Schedules(self.database)

    @cached_property
    def commands(self) -> "CommandLog":
        from esquirell.storage.commands import CommandLog

        return CommandLog(self.database)

    @cached_property
    def prices(self) -> "Prices":
        """The imported prices of tariffs."""
        from esquirell.storage.prices import Prices

        return Prices(self.database)


class Storage(Stores):
    """The configured database; `settings` returns the current settings."""

    def __init__(self, settings: Callable[[], Settings], clock: Clock) -> None:
        given = settings()
        database = Database(given.database_url, durability=given.database.durability)
        database.renew = _configured_url
        super().__init__(database, given.timezone)
        self._settings = settings
        self.clock = clock
        self._spool_file = given.spool_file
        self.directory = StateDirectory(given.state_dir)
        self.calendar = Calendar(given.timezone)

    @cached_property
    def spool(self) -> "Spool":
        """The spool for readings while the database is unreachable."""
        from esquirell.storage.spool import Spool

        return Spool(self._spool_file, self.directory.is_there)

    @cached_property
    def statistics(self) -> "Statistics":
        from esquirell.services.statistics import Statistics

        return Statistics(self.periods, self.calendar, self.clock)

    @cached_property
    def history(self) -> "History":
        """The service that reads stored data for display."""
        from esquirell.services.history import History

        return History(self.reading_history, self._worked_up, self.calendar, self.clock)

    @cached_property
    def costs(self) -> "Costs":
        """The service that computes energy costs."""
        from esquirell.services.costs import Costs

        return Costs(self.periods, self.prices, self._settings, self.calendar, self.clock)

    @cached_property
    def fresh_statistics(self) -> "FreshStatistics":
        """Brings statistics up to date before they are shown."""
        from esquirell.services.freshness import FreshStatistics

        return FreshStatistics(self.statistics, self.clock)

    @contextmanager
    def schedule_view(self) -> Iterator["ScheduleView"]:
        """Open a connection to Redis, which knows when the schedules ran: without Celery."""
        from esquirell.beat.snapshot import ScheduleSnapshots
        from esquirell.beat.timetable_view import TimetableView
        from esquirell.broker.connection import connect
        from esquirell.runtime.connections import address_of
        from esquirell.services.schedules import ScheduleView

        settings = self._settings()
        with closing(connect(address_of(settings))) as client:
            timetable = TimetableView(ScheduleSnapshots(client), settings.timezone)
            yield ScheduleView(self.schedules, timetable)

    def _worked_up(self, meters: Sequence[str] | None) -> "StatisticsStore":
        """Bring the statistics of some meters (None: of all) up to date, and return the store."""
        self.fresh_statistics.ensure(meters)
        return self.periods


def _configured_url() -> str:
    """Read the URL of the database, with its password, as the configuration has it now."""
    return load().database_url


def stores_at(url: str, zone: str) -> Stores:
    """Build the stores of the database at `url`. Raises ConfigError for an invalid URL."""
    return Stores(Database(url), zone)
