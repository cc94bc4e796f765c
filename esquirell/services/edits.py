"""Changes to schedules by users: checked, stored, and then applied to the timetable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from esquirell.domain.errors import CommandError, ConfigError, unknown_meter
from esquirell.domain.meter import Meter
from esquirell.domain.nearest import hint
from esquirell.domain.payload import sentence
from esquirell.domain.requests import NewSchedule, ScheduleChange
from esquirell.domain.schedule import Changes, StoredSchedule, short_task_name
from esquirell.domain.tasks import TaskRegistry
from esquirell.services.schedule_ports import ScheduleStore, Timetable

# Beat looks at each of them every two seconds, and Home Assistant gets entities for each.
MOST_SCHEDULES = 500

Stored = Mapping[str, StoredSchedule]


class Edits:
    """Adds, changes and removes schedules; raises CommandError and UnavailableError."""

    def __init__(
        self,
        store: ScheduleStore,
        timetable: Timetable,
        tasks: TaskRegistry,
        meters: Callable[[], Sequence[Meter]],
    ) -> None:
        self._store = store
        self._timetable = timetable
        self._tasks = tasks
        self._meters = meters

    def add(self, new: NewSchedule) -> None:
        """Add a schedule, or restore a removed one with other fields."""
        # Every field is set, so that none of the file's applies, now or later.
        fields = new.model_dump(mode="json", exclude={"name", "transaction"})
        fields["task"] = short_task_name(new.task)

        def added(stored: Stored) -> StoredSchedule:
            old = stored.get(new.name)
            if old and not old.removed:
                raise CommandError("already_exists", f"a schedule {new.name} exists already")
            if sum(not schedule.removed for schedule in stored.values()) >= MOST_SCHEDULES:
                sentence = f"there are {MOST_SCHEDULES} schedules, which is the limit: remove some"
                raise CommandError("invalid_payload", sentence)
            return StoredSchedule(new.name, old.base if old else None, fields)

        self._put(added)

    def set(self, change: ScheduleChange) -> None:
        """Change some fields."""
        if not change.fields:
            raise CommandError("invalid_payload", "name at least one field to change")
        self._put(lambda stored: _changed(_found(stored, change.name), change.fields))

    def enable(self, name: str, *, enabled: bool) -> None:
        """Pause or resume a schedule."""
        self.set(ScheduleChange(name=name, enabled=enabled))

    def reset(self, name: str) -> None:
        """Discard all changes, a removal included: the configuration file applies again."""

        def reset(stored: Stored) -> StoredSchedule:
            old = stored.get(name)
            if old is None or old.base is None:
                sentence = f"the configuration has no schedule {name}"
                raise CommandError("unknown_schedule", sentence)
            return StoredSchedule(name, old.base)

        self._put(reset)

    def remove(self, name: str) -> None:
        """Remove a schedule; one of the configuration file stays removed."""
        self._store.change(lambda stored: {name: _tombstone(_found(stored, name))})

    def find(self, name: str) -> StoredSchedule:
        return _found({schedule.name: schedule for schedule in self._store.all()}, name)

    def _put(self, edit: Callable[[Stored], StoredSchedule]) -> None:
        """Store what `edit` returns for the schedules as they are at that moment."""

        def checked(stored: Stored) -> Changes:
            new = edit(stored)
            self._check(new)
            return {new.name: new}

        self._store.change(checked)

    def _check(self, new: StoredSchedule) -> None:
        """Reject a schedule that could not run."""
        try:
            schedule = new.effective()
            self._timetable.check(schedule)
        except ValidationError as error:
            raise CommandError("invalid_payload", sentence(error)) from None
        except ConfigError as error:
            raise CommandError("invalid_payload", str(error)) from None
        self.check_meters(schedule.meters)
        self._tasks.get(schedule.task).check(schedule.kwargs)

    def check_meters(self, names: Sequence[str] | None) -> None:
        """Reject names of meters that are not configured."""
        known = [meter.name for meter in self._meters()]
        for name in names or ():
            if name not in known:
                raise unknown_meter(name, known)


def _found(stored: Stored, name: str) -> StoredSchedule:
    found = stored.get(name)
    if found is None or found.removed:
        known = [schedule.name for schedule in stored.values() if not schedule.removed]
        sentence = f"there is no schedule {name}; {hint(name, known)}"
        raise CommandError("unknown_schedule", sentence)
    return found


def _changed(old: StoredSchedule, fields: Mapping[str, Any]) -> StoredSchedule:
    if fields.get("timezone") and "cron" not in fields and old.effective().cron is None:
        raise CommandError("invalid_payload", "timezone needs cron: an interval has none")
    kept = {key: value for key, value in old.overrides.items() if key not in _cleared(fields)}
    return replace(old, overrides=kept | dict(fields))


def _tombstone(old: StoredSchedule) -> StoredSchedule | None:
    """Return the record of a removal if the file would otherwise bring the schedule back."""
    return replace(old, overrides={}, removed=True) if old.base is not None else None


def _cleared(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields to clear because of these: there is only one rule at a time."""
    if fields.get("every") is not None:
        return ("cron", "timezone")
    return ("every",) if fields.get("cron") is not None else ()
