"""The demo's database: readings, schedules with their next run, and the summary at the end."""

import time
from datetime import UTC, datetime
from pathlib import Path

from esquirell.beat.rules import rule_of
from esquirell.demo.watch import Watch
from esquirell.domain.record import record
from esquirell.domain.schedule import Schedule
from esquirell.runtime.storage import stores_at
from esquirell.runtime.upkeep import has_tables

STRAGGLERS_S = 3.0
LOOK_AGAIN_S = 0.02


@record
class Planned:
    """A schedule and the seconds until its next run; None when it does not run."""

    schedule: Schedule
    next_s: float | None


class Record:
    """Reads the database beside the service.

    While the service creates its tables a reader would be in its way: ask once they exist.
    """

    def __init__(self, file: Path, zone: str) -> None:
        self._stores = stores_at(f"sqlite:///{file}", zone)
        self._zone = zone

    def stored(self) -> int:
        """Count the stored readings. Raises UnavailableError."""
        return sum(self._stores.readings.counts().values())

    def has_tables(self) -> bool:
        """Whether the service got as far as creating its tables. Raises UnavailableError."""
        return has_tables(self._stores.database)

    def schedules(self) -> list[Planned]:
        """Return the schedules that were not removed. Raises UnavailableError."""
        stored = self._stores.schedules.all()
        return [self._planned(schedule.effective()) for schedule in stored if not schedule.removed]

    def close(self) -> None:
        """Close the database."""
        self._stores.database.close()

    def _planned(self, schedule: Schedule) -> Planned:
        now = datetime.now(UTC)
        due = rule_of(schedule, self._zone).after(now) if schedule.enabled else None
        return Planned(schedule, (due - now).total_seconds() if due else None)


@record
class Tally:
    """Rows in the database and readings seen on MQTT."""

    stored: int
    published: int

    def __str__(self) -> str:
        """Return the sentence part that both views and the summary use."""
        return f"{self.stored} readings stored, {self.published} published"


def settle(watch: Watch, record: Record) -> Tally:
    """Count after the service has ended; the last messages get a moment to arrive.

    Raises UnavailableError.
    """
    stored = record.stored() if record.has_tables() else 0
    deadline = time.monotonic() + STRAGGLERS_S
    while watch.sight().readings < stored and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_S)
    return Tally(stored, watch.sight().readings)
