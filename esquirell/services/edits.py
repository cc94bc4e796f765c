"""Changes of schedules by users: each is checked, written to the record, and then derived."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from esquirell.domain.errors import CommandError, ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.requests import NewSchedule, ScheduleChange, sentence
from esquirell.domain.schedule import StoredSchedule, short_task_name
from esquirell.domain.tasks import TaskRegistry
from esquirell.services.ports import ScheduleStore, Timetable


class Edits:
    """Adds, changes and removes schedules; raises CommandError, and UnavailableError."""

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

    def add(self, new: NewSchedule) -> StoredSchedule:
        """Add a schedule, or bring a removed one back with other fields."""
        old = self._stored().get(new.name)
        if old and not old.removed:
            raise CommandError("already_exists", f"there is a schedule {new.name} already")
        # Every field is said, so that none of the file's shines through, now or later.
        fields = new.model_dump(mode="json", exclude={"name", "transaction"})
        fields["task"] = short_task_name(new.task)
        return self._put(StoredSchedule(new.name, old.base if old else None, fields))

    def set(self, change: ScheduleChange) -> StoredSchedule:
        """Change some fields."""
        old = self.find(change.name)
        fields = change.fields
        if not fields:
            raise CommandError("invalid_payload", "name at least one field to change")
        if fields.get("timezone") and "cron" not in fields and old.effective().cron is None:
            raise CommandError("invalid_payload", "timezone goes with cron; an interval has none")
        kept = {key: value for key, value in old.overrides.items() if key not in _cleared(fields)}
        return self._put(replace(old, overrides=kept | fields))

    def enable(self, name: str, *, enabled: bool) -> StoredSchedule:
        """Pause a schedule or let it go on."""
        return self.set(ScheduleChange(name=name, enabled=enabled))

    def reset(self, name: str) -> StoredSchedule:
        """Forget all changes: the schedule is as the configuration file says, removed or not."""
        old = self._stored().get(name)
        if old is None or old.base is None:
            raise CommandError("unknown_schedule", f"no schedule {name} is in the configuration")
        return self._put(StoredSchedule(name, old.base))

    def remove(self, name: str) -> None:
        """Remove a schedule; one of the configuration file stays removed."""
        old = self.find(name)
        if old.base is None:
            self._store.drop([name])
        else:
            self._store.put([replace(old, overrides={}, removed=True)])

    def find(self, name: str) -> StoredSchedule:
        """Give a schedule that is there."""
        old = self._stored().get(name)
        if old is None or old.removed:
            known = ", ".join(one.name for one in self._store.all() if not one.removed) or "none"
            raise CommandError("unknown_schedule", f"there is no schedule {name}; known: {known}")
        return old

    def _stored(self) -> dict[str, StoredSchedule]:
        return {one.name: one for one in self._store.all()}

    def _put(self, new: StoredSchedule) -> StoredSchedule:
        self._check(new)
        self._store.put([new])
        return new

    def _check(self, new: StoredSchedule) -> None:
        """Refuse what would not run."""
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
        """Refuse the name of a meter that is not configured."""
        known = [meter.name for meter in self._meters()]
        for name in names or ():
            if name not in known:
                listed = ", ".join(known) or "none is configured"
                raise CommandError("unknown_meter", f"there is no meter {name}; known: {listed}")


def _cleared(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the earlier changes that make no sense beside these: there is one rule at a time."""
    if fields.get("every") is not None:
        return ("cron", "timezone")
    return ("every",) if fields.get("cron") is not None else ()
