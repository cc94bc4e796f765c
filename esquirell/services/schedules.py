"""The only writer of schedules: the database has them, entries in Redis are derived."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from esquirell.domain.clock import Clock
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.payload import sentence
from esquirell.domain.reading import iso
from esquirell.domain.schedule import (
    FETCH,
    Changes,
    LastRun,
    Origin,
    Result,
    Schedule,
    StoredSchedule,
    short_task_name,
)
from esquirell.services.schedule_ports import ScheduleStore, Timetable, TimetableReader

log = logging.getLogger(__name__)

# The last run of a short interval is written to the database at most this often, as SD cards wear
# out; Redis has it in between.
DURABLE_EVERY_S = 300

Base = Mapping[str, Any]


class ScheduleView:
    """Describes the stored schedules, without changing anything."""

    def __init__(self, store: ScheduleStore, timetable: TimetableReader) -> None:
        self._store = store
        self._timetable = timetable
        self._left_out: dict[str, str] = {}

    def check(self, defaults: Sequence[Schedule]) -> None:
        """Reject defaults that could never run. Raises ConfigError naming the schedule."""
        for schedule in defaults:
            try:
                self._timetable.check(schedule)
            except ConfigError as error:
                raise ConfigError(f"schedules.{schedule.name}: {error}") from error

    def explain(self, cron: str, timezone: str | None, count: int) -> tuple[str, list[datetime]]:
        """Return a crontab in English words, and its next runs. Raises ConfigError."""
        return self._timetable.explain(cron, timezone, count)

    def active(self) -> dict[str, Schedule]:
        """Return the enabled schedules by name. Raises UnavailableError."""
        found = {stored.name: self._effective(stored) for stored in self._store.all()}
        return {name: schedule for name, schedule in found.items() if schedule and schedule.enabled}

    def states(self) -> dict[str, dict[str, Any]]:
        """Describe all schedules as `schedule/<name>/state` does. Raises UnavailableError."""
        stored = {found.name: found for found in self._store.all()}
        found = {name: self._effective(one) for name, one in stored.items()}
        runs = self._runs(list(found))
        return {
            name: self._state(schedule, stored[name].origin, runs.get(name, LastRun()))
            for name, schedule in found.items()
            if schedule
        }

    def readers(self, meter: str) -> list[str]:
        """Return the schedules that name a meter. Raises UnavailableError."""
        found = {name: state["meters"] for name, state in self.states().items()}
        return [name for name, meters in found.items() if meters and meter in meters]

    def version(self, names: Sequence[str]) -> tuple[str, Mapping[str, str]] | None:
        """Return a value that changes with any schedule, and one per name that changes on a run.

        None while Redis is unreachable.
        """
        try:
            return self._timetable.version(names)
        except UnavailableError:
            return None

    def _effective(self, stored: StoredSchedule) -> Schedule | None:
        """Return a schedule as it runs; log once why one can't, and return None."""
        if stored.removed:
            return None
        try:
            schedule = stored.effective()
            self._timetable.check(schedule)
        except ValidationError as error:
            self._leave_out(stored.name, sentence(error))
        except ConfigError as error:
            self._leave_out(stored.name, str(error))
        else:
            self._left_out.pop(stored.name, None)
            return schedule
        return None

    def _leave_out(self, name: str, reason: str) -> None:
        if self._left_out.get(name) != reason:
            log.warning("schedule %s does not run: %s", name, reason)
        self._left_out[name] = reason

    def _runs(self, names: Sequence[str]) -> dict[str, LastRun]:
        """Return the last runs: from Redis, or else from the database."""
        try:
            known = self._timetable.runs(names)
        except UnavailableError:
            return self._store.last_runs()
        if all(run.at for run in known.values()):
            return dict(known)
        stored = self._store.last_runs()
        return {name: run if run.at else stored.get(name, run) for name, run in known.items()}

    def _state(self, schedule: Schedule, origin: Origin, last: LastRun) -> dict[str, Any]:
        following = self._timetable.next_run(schedule, last)
        shape = schedule.model_dump(mode="json")
        shape["task"] = short_task_name(schedule.task)
        return shape | {
            "last_run_at": iso(last.at) if last.at else None,
            "next_run_at": iso(following) if following else None,
            "last_result": last.result,
            "origin": origin,
        }


class Schedules(ScheduleView):
    """Stores schedules and derives the timetable from them."""

    def __init__(self, store: ScheduleStore, timetable: Timetable, clock: Clock) -> None:
        super().__init__(store, timetable)
        self._timetable: Timetable = timetable
        self._clock = clock
        self._recorded: dict[str, datetime] = {}
        self._recording: set[str] = set()
        self._recording_lock = threading.Lock()
        self._synced: dict[str, Schedule] = {}
        self._defaults: Sequence[Schedule] = ()

    def adopt(self, defaults: Sequence[Schedule]) -> None:
        """Apply the defaults of the configuration file at a start.

        Fields that a user changed stay; a removed schedule stays removed; a schedule that is no
        longer in the file goes unless a user changed it. Raises UnavailableError.
        """
        self._defaults = defaults
        bases = {schedule.name: _base(schedule) for schedule in defaults}
        self._store.change(lambda stored: _adopted(stored, bases))

    def sync(self) -> None:
        """Derive the timetable from the stored schedules. Raises UnavailableError."""
        # Schedules read before another process's change must not be written after it.
        with self._timetable.lock():
            active = self.active() or self._restored()
            self._timetable.replace(active, self._store.last_runs())
            self._synced = active

    def _restored(self) -> dict[str, Schedule]:
        """Adopt the defaults again if the database has no schedule at all, not even a removed one.

        Somebody has emptied it, or put another one in its place: without schedules nothing is read.
        Raises UnavailableError.
        """
        if not self._defaults or self._store.all():
            return {}
        log.warning("the database has lost its schedules: those of the configuration count again")
        self.adopt(self._defaults)
        return self.active()

    def pace_s(self, meter: str) -> int | None:
        """Return the shortest interval (s) at which this process reads a meter, if it does."""
        return pace_of(self._synced.values(), meter)

    def changed(self) -> None:
        """Apply a change, and notify all processes.

        While Redis is unreachable, that waits; the change is stored already.
        """
        try:
            self.sync()
            self._timetable.announce()
        except UnavailableError as error:
            log.warning("the change takes effect later: %s", error)

    def removed(self, name: str) -> None:
        """Apply a removal, as `changed` does."""
        try:
            self._timetable.forget(name)
        except UnavailableError as error:
            log.debug("the runs of %s are not forgotten: %s", name, error)
        self.changed()

    def ran(self, name: str, result: Result, every: int) -> None:
        """Record that a schedule ran, sparing the database for short intervals.

        `every` is its interval in seconds, 0 for a crontab. Raises UnavailableError.
        """
        now = self._clock()
        self._timetable.note_run(name, LastRun(now, result))
        previous = self._recorded.get(name) if 0 < every < DURABLE_EVERY_S else None
        if previous is None or not 0 <= (now - previous).total_seconds() < DURABLE_EVERY_S:
            self._record(name, LastRun(now, result))

    def _record(self, name: str, run: LastRun) -> None:
        """Write a run to the database, unless an earlier one of the schedule is being written.

        With a hanging database, each run would otherwise take up a place of the worker.
        """
        with self._recording_lock:
            if name in self._recording:
                return
            self._recording.add(name)
        try:
            self._store.record_run(name, run)
            if run.at:
                self._recorded[name] = run.at
        finally:
            with self._recording_lock:
                self._recording.discard(name)


def enabled_of(stored: Iterable[StoredSchedule]) -> dict[str, Schedule]:
    """Return the enabled schedules by name; faulty ones are left out."""
    found = {}
    for one in stored:
        with suppress(ValidationError):
            schedule = None if one.removed else one.effective()
            if schedule is not None and schedule.enabled:
                found[one.name] = schedule
    return found


def pace_of(schedules: Iterable[Schedule], meter: str) -> int | None:
    """Return the shortest interval (s) at which these schedules read a meter, if any."""
    paces = [schedule.every for schedule in schedules if schedule.every and _reads(schedule, meter)]
    return min(paces, default=None)


def _reads(schedule: Schedule, meter: str) -> bool:
    return schedule.task == FETCH and (schedule.meters is None or meter in schedule.meters)


def _base(schedule: Schedule) -> dict[str, Any]:
    return schedule.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)


def _adopted(stored: Mapping[str, StoredSchedule], bases: Mapping[str, Base]) -> Changes:
    wanted = {
        name: replace(stored[name], base=base) if name in stored else StoredSchedule(name, base)
        for name, base in bases.items()
    }
    gone = [old for old in stored.values() if old.name not in bases and old.base is not None]
    left: Changes = {old.name: _left(old) for old in gone}
    return {name: new for name, new in wanted.items() if new != stored.get(name)} | dict(left)


def _left(old: StoredSchedule) -> StoredSchedule | None:
    """Keep a schedule that was dropped from the file as the user's own, if a user changed it."""
    if not old.overrides or old.removed:
        return None
    return replace(old, base=None, overrides=dict(old.base or {}) | dict(old.overrides))
