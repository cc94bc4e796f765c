"""The timetable in Redis: entries derived from the schedules of the database."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from celery import Celery
from redis.lock import Lock

from esquirell.beat.entry import Entry, RuleSchedule
from esquirell.beat.redbeat import client_of, settings_of
from esquirell.beat.rules import rule_of
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

LOCK_KEY = "esquirell:schedules:turn"

# A process that dies while it holds the lock blocks the others for this long.
TURN_S = 5
LOOK_S = 0.02


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
