"""Maintenance of the state directory and the database: tables, copies, damage, and pruning."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from esquirell.broker.processes import RememberedDirectories
from esquirell.domain.clock import Clock
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.runtime.machine import Machine
from esquirell.runtime.storage import Storage
from esquirell.services.retention import Retention
from esquirell.services.statuses import newest
from esquirell.services.timekeeping import Timekeeper
from esquirell.settings import Settings, state_files
from esquirell.settings.private_files import make_directory
from esquirell.settings.state_files import StateDirectory, half_restored
from esquirell.storage.database import Database
from esquirell.storage.maintenance import care, moving, restoring
from esquirell.storage.maintenance.care import Backups
from esquirell.storage.maintenance.claim import Claim
from esquirell.storage.maintenance.restoring import DatabaseRepair
from esquirell.storage.maintenance.revision import (
    HEAD,
    ensure_current,
    put_back_tables,
    read_revision,
)
from esquirell.storage.sqlite import is_there

if TYPE_CHECKING:
    from esquirell.storage.corrections.store import Corrections


class Upkeep:
    """Maintains the database of `storage`."""

    revision = HEAD

    def __init__(self, settings: Settings, storage: Storage, clock: Clock) -> None:
        self._settings = settings
        self._storage = storage
        self.clock = clock

    @property
    def database(self) -> Database:
        return self._storage.database

    def upgrade(self, *, afresh: bool = False) -> None:
        """Upgrade the tables to this version; create a database where there never was one.

        Tables that were dropped are created, empty. A missing database, as when its disk is
        missing, is an error unless `afresh`. Raises ConfigError or UnavailableError.
        """
        loss = None if afresh else self.loss()
        if loss is not None:
            raise ConfigError(loss)
        ensure_current(self.database)
        put_back_tables(self.database)

    def loss(self) -> str | None:
        """Return the sentence for a database that is missing though there was one; else None."""
        trace = self._trace_of_one_missing()
        if trace is None:
            return None
        return (
            f"the database {self.database.file} is missing, and {trace} shows that there was one: "
            "mount its disk, or put a backup in its place with esquirell restore FILE; "
            "to begin with an empty one: esquirell db upgrade --afresh"
        )

    def problems(self, *, quick: bool = False) -> list[str]:
        """Return what is wrong with the database, one sentence each; `quick` skips the indexes."""
        return care.check(self.database, quick=quick)

    def backup(self, file: Path) -> None:
        """Copy the database into a new file. Raises ConfigError or UnavailableError."""
        care.backup(self.database, file)

    def restore(self, file: Path) -> Path | None:
        """Replace the database by a backup; return where the old one is now.

        Raises ConfigError or UnavailableError.
        """
        return restoring.restore(file, self.database)

    def forget(self, meter: str) -> int:
        """Remove everything stored about a meter; return the number of its readings.

        Raises UnavailableError.
        """
        return care.forget(self.database, meter)

    def hand_over(self, meter: str, source: str) -> None:
        """Assign a meter's counters to another device. Raises UnavailableError."""
        self.corrections.hand_over(meter, source)

    def move(self, url: str, report: moving.Report) -> tuple[str, dict[str, int]]:
        """Copy all rows into the empty database at `url`; return its name and rows per table.

        Raises ConfigError or UnavailableError.
        """
        target = Database(url)
        try:
            return target.describe(), moving.move(self.database, target, report)
        finally:
            target.close()

    def repair(self, adopt_schedules: Callable[[], None]) -> None:
        """Repair the database if it is damaged, now and whenever damage is found.

        An empty one needs the schedules again: `adopt_schedules` is then called.
        """
        repair = DatabaseRepair(self.database, self.backups, adopt_schedules)
        if self._is_ours:
            repair.run_at_start(had_rows=self._trace() is not None)
        self.database.on_damage = repair.run

    @property
    def gives_space_back_by(self) -> str:
        """What shrinks the database after rows were removed, and what that costs."""
        if self.database.file is None:
            return "VACUUM FULL reading in psql, which locks the table meanwhile,"
        return f'sqlite3 {self.database.file} "VACUUM", with the service stopped,'

    @cached_property
    def backups(self) -> Backups:
        settings = self._settings
        folder, keep = settings.backup_dir, settings.backup.keep
        return Backups(self.database, folder, keep, self.clock, self.trusts)

    @cached_property
    def claim(self) -> Claim:
        """The claim of one service on the database, which no other gets."""
        return Claim(self.database)

    @cached_property
    def timekeeper(self) -> Timekeeper:
        """Decides whether the clock is right."""
        return Timekeeper(Machine())

    @cached_property
    def retention(self) -> Retention:
        """Prunes old readings."""
        keep = self._settings.database.raw_retention
        storage = self._storage
        return Retention(storage.periods, storage.calendar, keep, self.clock, self.trusts)

    @cached_property
    def corrections(self) -> "Corrections":
        from esquirell.storage.corrections.store import Corrections  # noqa: PLC0415 - rarely needed

        return Corrections(self.database, self._storage.calendar, self.clock)

    def trusts(self, now: datetime) -> bool:
        """Whether a clock that shows `now` is right. Raises UnavailableError."""
        return self.timekeeper.trusts(now, lambda: newest(self._storage.reading_history.statuses()))

    def _trace_of_one_missing(self) -> Path | None:
        """Return a file of ours that shows that the missing database once existed."""
        file = self.database.file
        return None if file is None or is_there(file) else self._trace()

    def _trace(self) -> Path | None:
        """Return a file of ours that a service makes only beside a database in a file."""
        settings, file = self._settings, self.database.file
        if file is None:
            return None
        found = [
            *(settings.state_dir / name for name in state_files.MADE_BY_SERVICE),
            settings.spool_file,
            *state_files.meters(settings.state_dir),
            *self.backups.newest_first(),
            *file.parent.glob(f"{file.name}-wal"),
            *file.parent.glob(f"{file.name}.damaged-*"),
        ]
        return next((path for path in found if is_there(path)), None)

    @property
    def _is_ours(self) -> bool:
        """Whether the file's place shows that it is ours: elsewhere it may be another program's."""
        file = self.database.file
        return file is not None and file.is_relative_to(self._settings.state_dir)


def has_tables(database: Database) -> bool:
    """Whether a service got as far as creating the tables. Raises UnavailableError."""
    if database.file is not None and not is_there(database.file):
        return False
    with database.read() as connection:
        return read_revision(connection, database.describe()) is not None


class StatePlace:
    """The state directory of this machine; `noted` holds where it was at earlier starts.

    Without `noted` earlier places are unknown: an embedded Redis is as new as the directory.
    """

    def __init__(self, directory: StateDirectory, noted: RememberedDirectories | None) -> None:
        self._directory = directory
        self._folder = directory.folder
        self._noted = noted

    def create(self) -> None:
        """Create the directory unless it exists. Raises ConfigError."""
        make_directory(self._folder)
        self._directory.is_there()

    def check(self) -> None:
        """Raise ConfigError if the directory is not what an earlier start left.

        It is missing, or was restored by half.
        """
        if problem := half_restored(self._folder):
            raise ConfigError(problem)
        if self._noted is None or self._directory.is_there():
            return
        with suppress(UnavailableError):
            if self._noted.knows(str(self._folder)):
                raise ConfigError(
                    f"the state directory {self._folder} is missing, but existed at an earlier "
                    f"start: mount its disk; to start afresh there: mkdir {self._folder}"
                )

    def note(self) -> None:
        """Remember the place for later starts, if Redis can be reached."""
        if self._noted is not None:
            with suppress(UnavailableError):
                self._noted.note(str(self._folder))
