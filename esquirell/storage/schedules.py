"""Schedules in the database: the record that the timetable in Redis is derived from."""

from collections.abc import Iterable

from sqlalchemy import delete, select, update

from esquirell.domain.schedule import LastRun, StoredSchedule
from esquirell.storage.database import Database
from esquirell.storage.tables import schedule
from esquirell.storage.upsert import insert_or_update

_DEFINITION = ("base", "overrides", "removed")


class Schedules:
    """Keeps schedules, and when each ran last."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredSchedule]:
        """Give all schedules by name, the removed ones included. Raises UnavailableError."""
        columns = (schedule.c[name] for name in ("name", *_DEFINITION))
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).order_by(schedule.c.name))
            return [StoredSchedule(*row) for row in rows]

    def put(self, schedules: Iterable[StoredSchedule]) -> None:
        """Insert or replace, in one transaction; last runs stay. Raises UnavailableError."""
        rows = [_to_row(stored) for stored in sorted(schedules, key=lambda each: each.name)]
        if rows:
            with self._database.write() as connection:
                connection.execute(insert_or_update(connection, schedule, _DEFINITION), rows)

    def drop(self, names: Iterable[str]) -> None:
        """Forget schedules, tombstones included, in one transaction. Raises UnavailableError."""
        unwanted = list(names)
        if unwanted:
            with self._database.write() as connection:
                connection.execute(delete(schedule).where(schedule.c.name.in_(unwanted)))

    def last_runs(self) -> dict[str, LastRun]:
        """Give the last stored run of each schedule, by name. Raises UnavailableError."""
        columns = (schedule.c.name, schedule.c.last_run_at, schedule.c.last_result)
        with self._database.read() as connection:
            rows = connection.execute(select(*columns))
            return {name: LastRun(at, result) for name, at, result in rows}

    def record_run(self, name: str, run: LastRun) -> None:
        """Store when a schedule ran last; one that is gone is ignored. Raises UnavailableError."""
        change = (
            update(schedule)
            .where(schedule.c.name == name)
            .values(last_run_at=run.at, last_result=run.result)
        )
        with self._database.write() as connection:
            connection.execute(change)


def _to_row(stored: StoredSchedule) -> dict[str, object]:
    return {
        "name": stored.name,
        "base": None if stored.base is None else dict(stored.base),
        "overrides": dict(stored.overrides),
        "removed": stored.removed,
    }
