"""What the database says: readings counted, schedules and their next run."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from esquirell.beat.rules import rule_of
from esquirell.domain.schedule import Schedule
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import read_revision
from esquirell.storage.readings import Readings
from esquirell.storage.schedules import Schedules


@dataclass(frozen=True, slots=True)
class Planned:
    """A schedule and the seconds until its next run; None when it does not run."""

    schedule: Schedule
    next_s: float | None


class Record:
    """Reads the database beside the service.

    While the service makes its tables a reader would be in its way: ask once they are there.
    """

    def __init__(self, file: Path, zone: str) -> None:
        self._file = file
        self._database = Database(f"sqlite:///{file}")
        self._zone = zone

    def stored(self) -> int:
        """Count the stored readings. Raises UnavailableError."""
        return sum(Readings(self._database).counts().values())

    def has_tables(self) -> bool:
        """Tell whether the service came as far as to make its tables. Raises UnavailableError."""
        if not self._file.exists():
            return False
        with self._database.read() as connection:
            return read_revision(connection, str(self._file)) is not None

    def schedules(self) -> list[Planned]:
        """Give the schedules that were not removed. Raises UnavailableError."""
        stored = Schedules(self._database).all()
        return [self._planned(one.effective()) for one in stored if not one.removed]

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _planned(self, schedule: Schedule) -> Planned:
        now = datetime.now(UTC)
        due = rule_of(schedule, self._zone).after(now) if schedule.enabled else None
        return Planned(schedule, (due - now).total_seconds() if due else None)
