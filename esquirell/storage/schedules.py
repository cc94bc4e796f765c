"""Schedules in the database, from which the timetable in Redis is derived."""

from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.engine import Connection

from esquirell.domain.schedule import Edit, LastRun, StoredSchedule
from esquirell.storage.database import Database
from esquirell.storage.paging import rows_of
from esquirell.storage.tables import insert_or_update, schedule

_DEFINITION = ("base", "overrides", "removed")
_ALL = select(*(schedule.c[name] for name in ("name", *_DEFINITION))).order_by(schedule.c.name)
_LAST_RUNS = select(schedule.c.name, schedule.c.last_run_at, schedule.c.last_result)
# An arbitrary number, the same in all versions of this program.
_LOCK = 7_283_653


class Schedules:
    """Stores schedules, and when each last ran."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredSchedule]:
        """Return all schedules by name, the removed ones included. Raises UnavailableError."""
        with self._database.read() as connection:
            return _all(connection)

    def change(self, edit: Edit) -> None:
        """Apply `edit` to the schedules, exclusively.

        It gets all schedules by name, and returns those to insert or replace, with None for those
        to delete, tombstones included; last runs stay. If it raises, nothing changes. Raises
        UnavailableError.
        """
        with self._database.write() as connection:
            _take_turn(connection)
            changes = edit({schedule.name: schedule for schedule in _all(connection)})
            rows = [_to_row(new) for _, new in sorted(changes.items()) if new]
            gone = [name for name, new in changes.items() if new is None]
            if rows:
                connection.execute(
                    insert_or_update(connection.dialect.name, schedule, _DEFINITION), rows
                )
            if gone:
                connection.execute(delete(schedule).where(schedule.c.name.in_(gone)))

    def last_runs(self) -> dict[str, LastRun]:
        """Return the last stored run of each schedule, by name. Raises UnavailableError."""
        return {
            name: LastRun(at, result) for name, at, result in rows_of(self._database, _LAST_RUNS)
        }

    def record_run(self, name: str, run: LastRun) -> None:
        """Store when a schedule last ran; an unknown one is ignored. Raises UnavailableError."""
        change = (
            update(schedule)
            .where(schedule.c.name == name)
            .values(last_run_at=run.at, last_result=run.result)
        )
        with self._database.write() as connection:
            connection.execute(change)


def _take_turn(connection: Connection) -> None:
    """Wait until no other transaction changes schedules; SQLite's writers queue anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _all(connection: Connection) -> list[StoredSchedule]:
    return [
        StoredSchedule(name, _table(base), _table(overrides) or {}, removed)
        for name, base, overrides, removed in connection.execute(_ALL)
    ]


def _table(value: object) -> dict[str, Any] | None:
    """Return the fields of a schedule; None where they are damaged."""
    return value if isinstance(value, dict) else None


def _to_row(stored: StoredSchedule) -> dict[str, object]:
    return {
        "name": stored.name,
        "base": None if stored.base is None else dict(stored.base),
        "overrides": dict(stored.overrides),
        "removed": stored.removed,
    }
