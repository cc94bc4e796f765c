"""The database: what is stored in it, and who looks after it."""

from collections.abc import Callable, Sequence
from functools import cached_property

from esquirell.domain.periods import Calendar
from esquirell.domain.tariff import Tariff
from esquirell.services.costs import Costs
from esquirell.services.ports import Clock
from esquirell.services.retention import Retention
from esquirell.services.statistics import Statistics
from esquirell.settings import Settings
from esquirell.storage.commands import CommandLog
from esquirell.storage.database import Database
from esquirell.storage.maintenance.backups import Backups
from esquirell.storage.maintenance.claim import Claim
from esquirell.storage.maintenance.mending import Mender
from esquirell.storage.prices import Prices
from esquirell.storage.readings import Readings
from esquirell.storage.schedules import Schedules
from esquirell.storage.statistics.store import Statistics as StatisticsStore


class Storage:
    """What stands on one database; built on first use."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def mend(self, adopt_schedules: Callable[[], None]) -> None:
        """Mend the database if it is damaged, now and whenever it turns out to be.

        An empty one in its place needs the schedules again: `adopt_schedules` is then called.
        """
        mender = Mender(self.database, self.backups, adopt_schedules)
        if self._is_ours:
            mender.mend_at_start()
        self.database.on_damage = mender.mend

    @cached_property
    def database(self) -> Database:
        """The database."""
        durability = self._settings.database.durability
        return Database(self._settings.database_url, durability=durability)

    @cached_property
    def backups(self) -> Backups:
        """The backups of the database."""
        settings = self._settings
        return Backups(self.database, settings.backup_dir, settings.backup.keep, self._clock)

    @cached_property
    def claim(self) -> Claim:
        """What one service on the database has, and no other."""
        return Claim(self.database)

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
    def statistics(self) -> Statistics:
        """The one who works up statistics."""
        return Statistics(self._statistics, self._calendar, self._clock)

    @cached_property
    def retention(self) -> Retention:
        """The one who thins out old readings."""
        keep = self._settings.database.raw_retention
        return Retention(self._statistics, self._calendar, keep, self._clock)

    def costs(self, tariffs: Callable[[], Sequence[Tariff]]) -> Costs:
        """Build the one who reckons what energy costs; `tariffs` are those in force."""
        prices = Prices(self.database)
        return Costs(self._statistics, prices, tariffs, self._calendar, self._clock)

    @cached_property
    def _statistics(self) -> StatisticsStore:
        return StatisticsStore(self.database, self._settings.timezone)

    @property
    def _calendar(self) -> Calendar:
        return Calendar(self._settings.timezone)

    @property
    def _is_ours(self) -> bool:
        """Whether the file is ours by its place: elsewhere it may be another program's."""
        file = self.database.file
        return file is not None and file.is_relative_to(self._settings.state_dir)
