"""The timetable in Redis: RedBeat entries by our own rules, derived from the database."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import BaseSchedule, schedstate
from redis.lock import Lock

from esquirell.beat.redbeat import RedBeatJSONEncoder, RedBeatSchedulerEntry, client_of, settings_of
from esquirell.beat.rules import Rule, from_json, rule_of
from esquirell.beat.snapshot import (
    RUNS_KEY,
    SEEDED_KEY,
    VERSION_KEY,
    ScheduleSnapshots,
)
from esquirell.beat.timetable_view import TimetableView, last_run, latest, start_from
from esquirell.broker.connection import Client, reaching_redis
from esquirell.broker.queue import POLLS
from esquirell.domain.schedule import LastRun, Schedule, long_task_name
from esquirell.domain.tasks import EVERY_HEADER, SCHEDULE_HEADER

NEVER_S = 86_400.0

LOCK_KEY = "esquirell:schedules:turn"

# A process that dies while it holds the lock blocks the others for this long.
TURN_S = 5
LOOK_S = 0.02


class RuleSchedule(BaseSchedule):
    """A rule in the form that Celery's scheduler expects."""

    def __init__(self, rule: Rule, app: Celery | None = None) -> None:
        super().__init__(app=app)
        self.rule = rule

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Return whether a run is due, and the seconds until the next check."""
        now = self.now()
        due_at = self.rule.after(last_run_at)
        if due_at is not None and due_at <= now:
            return schedstate(True, _seconds(self.rule.after(now), now))  # noqa: FBT003 - Celery's
        return schedstate(False, _seconds(due_at, now))  # noqa: FBT003 - own named tuple

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleSchedule) and self.rule == other.rule

    def __hash__(self) -> int:
        return hash(self.rule)


def _seconds(moment: datetime | None, now: datetime) -> float:
    return (moment - now).total_seconds() if moment else NEVER_S


class Entry(RedBeatSchedulerEntry):
    """An entry in Redis: RedBeat's own, with our rule in place of its intervals.

    `ran` is False where `last_run_at` is only the time from which runs are counted.
    """

    def __init__(self, *args: Any, ran: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 - RedBeat's
        super().__init__(*args, **kwargs)
        self.ran = ran

    @classmethod
    def decode(cls, definition: str, meta: str | None, app: Celery) -> "Entry":
        """Read an entry back. Raises one of UNREADABLE when it is invalid."""
        known = cls.decode_meta(meta)
        entry = cls(app=app, **cls.decode_definition(definition), **known)
        # Celery would replace "never" by the current time.
        entry.last_run_at = known["last_run_at"]
        return entry

    @staticmethod
    def decode_definition(definition: str) -> dict[str, Any]:
        """Read a definition back. Raises ValueError, KeyError or TypeError when it is invalid."""
        data = json.loads(definition)
        data["schedule"] = RuleSchedule(from_json(data["schedule"]))
        return cast("dict[str, Any]", data)

    def definition(self) -> str:
        """Return what to run and when, in a form that is equal for equal schedules."""
        fields = ("name", "task", "args", "kwargs", "options", "enabled")
        data = {field: getattr(self, field) for field in fields}
        return json.dumps(data | {"schedule": self.schedule.rule.to_json()}, sort_keys=True)

    @property
    def due_at(self) -> datetime | None:
        """Return the next run; one that never ran is due now."""
        if self.last_run_at is None:
            return cast("datetime", self._default_now())
        return cast("datetime | None", self.schedule.rule.after(self.last_run_at))

    def _next_instance(
        self,
        last_run_at: datetime | None = None,
        only_update_last_run_at: bool = False,
    ) -> "Entry":
        """Return the entry after a run; RedBeat would write it at once."""
        del only_update_last_run_at
        return cast("Entry", ScheduleEntry.next(self, last_run_at))

    __next__ = next = _next_instance

    def meta(self) -> str:
        """Write when it ran last."""
        known = {"last_run_at": self.last_run_at, "total_run_count": self.total_run_count}
        return json.dumps(known, cls=RedBeatJSONEncoder)

    def save(self) -> "Entry":
        """Write definition, last run and due time in one transaction."""
        known = {"last_run_at": self.last_run_at, "ran": self.ran}
        meta = json.dumps(known, cls=RedBeatJSONEncoder)
        with client_of(self.app).pipeline() as pipe:
            # Delete whatever else is there: a value of another type could not be written to.
            pipe.delete(self.key)
            pipe.hset(self.key, mapping={"definition": self.definition(), "meta": meta})
            pipe.zadd(self.app.redbeat_conf.schedule_key, {self.key: self.score})
            pipe.execute()
        return self


class RedBeatTimetable(TimetableView):
    """Writes the entries that beat runs, too."""

    def __init__(self, app: Celery, snapshots: ScheduleSnapshots, zone: str) -> None:
        super().__init__(snapshots, zone)
        self._app = app

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from deriving entries. Raises UnavailableError."""
        with reaching_redis(), self._redis_lock():
            yield

    def _redis_lock(self) -> Lock:
        client: Client = client_of(self._app)
        # Redis may be emptied meanwhile, and the lock with it: that is not a failure.
        lock: Lock = client.lock(
            LOCK_KEY,
            timeout=TURN_S,
            sleep=LOOK_S,
            blocking_timeout=TURN_S + 1,
            raise_on_release_error=False,
        )
        return lock

    def replace(self, schedules: Mapping[str, Schedule], last_runs: Mapping[str, LastRun]) -> None:
        """Write the entries of `schedules`, and no others. Raises UnavailableError."""
        entries = [
            self._entry(schedule, last_runs.get(name, LastRun()).at)
            for name, schedule in schedules.items()
        ]
        with reaching_redis():
            self._write(entries)

    def announce(self) -> None:
        """Signal to all processes that schedules have changed. Raises UnavailableError."""
        with reaching_redis():
            client_of(self._app).incr(VERSION_KEY)
        self._snapshots.on_change()

    def forget(self, name: str) -> None:
        """Forget the runs of a removed schedule. Raises UnavailableError."""
        with reaching_redis():
            client_of(self._app).hdel(RUNS_KEY, name)

    def note_run(self, name: str, run: LastRun) -> None:
        """Record when a schedule ran and its result. Raises UnavailableError."""
        moment = run.at.isoformat() if run.at else None
        note = json.dumps({"at": moment, "result": run.result})
        with reaching_redis():
            self._snapshots.note_run(name, note)

    def _entry(self, schedule: Schedule, last_run_at: datetime | None) -> Entry:
        settings_of(self._app)
        headers = {SCHEDULE_HEADER: schedule.name, EVERY_HEADER: schedule.every or 0}
        options = {
            "expires": schedule.expires_s,
            "headers": headers,
            "queue": POLLS,
            # Its result is recorded as the schedule's last run.
            "ignore_result": True,
        }
        entry = Entry(
            name=schedule.name,
            task=long_task_name(schedule.task),
            schedule=RuleSchedule(rule_of(schedule, self._zone), self._app),
            args=[],
            kwargs=schedule.kwargs,
            options=options,
            app=self._app,
        )
        # Celery would replace "never" by the current time.
        entry.last_run_at = last_run_at
        return entry

    def _write(self, entries: list[Entry]) -> None:
        client = client_of(self._app)
        due_times = settings_of(self._app).schedule_key
        digest = _digest(entries)
        seen = self._snapshots.look()
        if seen.seeded == digest and seen.metas.keys() >= {entry.key for entry in entries}:
            return
        for key in seen.metas.keys() - {entry.key for entry in entries}:
            client.zrem(due_times, key)
            client.delete(key)
        for entry in entries:
            known = last_run(seen.metas.get(entry.key), seen.runs.get(entry.name)).at
            last = latest(entry.last_run_at, known)
            entry.last_run_at = start_from(entry.schedule.rule, last, made_up=seen.seeded is None)
            entry.ran = last is not None and entry.last_run_at == last
            entry.save()
        client.set(SEEDED_KEY, digest)


def _digest(entries: list[Entry]) -> str:
    text = json.dumps(sorted(entry.definition() for entry in entries))
    return hashlib.sha256(text.encode()).hexdigest()
