"""The timetable in Redis: entries derived from the schedules of the database."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from celery import Celery
from redis.lock import Lock

from esquirell.beat.entry import UNREADABLE, Entry, RuleSchedule
from esquirell.beat.redbeat import client_of, settings_of
from esquirell.beat.rules import explain, rule_of
from esquirell.beat.snapshot import (
    RUNS_KEY,
    SEEDED_KEY,
    VERSION_KEY,
    ScheduleSnapshot,
    ScheduleSnapshots,
)
from esquirell.broker.connection import Client, RedisError, unavailable
from esquirell.broker.queue import POLLS
from esquirell.domain.schedule import LastRun, Schedule, long_task_name
from esquirell.domain.tasks import EVERY_HEADER, SCHEDULE_HEADER

TURN_KEY = "esquirell:schedules:turn"

# A crontab's run that fell into a restart is made up for within this time; an older one is not:
# what was meant for 22:00 should not happen at breakfast.
MAKE_UP = timedelta(minutes=5)

# A process that dies while it holds the lock holds up the others for so long.
TURN_S = 5
LOOK_S = 0.02


class RedBeatTimetable:
    """Writes the entries that beat runs; `zone` is for crontabs that name none."""

    def __init__(self, app: Celery, snapshots: ScheduleSnapshots, zone: str) -> None:
        self._app = app
        self._snapshots = snapshots
        self._zone = zone

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Prevent other processes from deriving entries. Raises UnavailableError."""
        try:
            with self._redis_lock():
                yield
        except RedisError as error:
            raise unavailable(error) from None

    def _redis_lock(self) -> Lock:
        client: Client = client_of(self._app)
        # Redis may be emptied meanwhile, and the lock with it: that is no failure.
        lock: Lock = client.lock(
            TURN_KEY,
            timeout=TURN_S,
            sleep=LOOK_S,
            blocking_timeout=TURN_S + 1,
            raise_on_release_error=False,
        )
        return lock

    def replace(self, schedules: Mapping[str, Schedule], last_runs: Mapping[str, LastRun]) -> None:
        """Make the entries those of `schedules`, and no others. Raises UnavailableError."""
        entries = [
            self._entry(schedule, last_runs.get(name, LastRun()).at)
            for name, schedule in schedules.items()
        ]
        try:
            self._write(entries)
        except RedisError as error:
            raise unavailable(error) from None

    def check(self, schedule: Schedule) -> None:
        """Refuse a schedule that could never run. Raises ConfigError."""
        rule_of(schedule, self._zone)

    def explain(self, cron: str, timezone: str | None, count: int) -> tuple[str, list[datetime]]:
        """Return a crontab in English words, and its next runs. Raises ConfigError."""
        return explain(cron, timezone or self._zone, count)

    def announce(self) -> None:
        """Signal to all processes that schedules have changed. Raises UnavailableError."""
        try:
            client_of(self._app).incr(VERSION_KEY)
        except RedisError as error:
            raise unavailable(error) from None

    def forget(self, name: str) -> None:
        """Forget the runs of a schedule that was removed. Raises UnavailableError."""
        try:
            client_of(self._app).hdel(RUNS_KEY, name)
        except RedisError as error:
            raise unavailable(error) from None

    def note_run(self, name: str, run: LastRun) -> None:
        """Note when a schedule ran and what came of it. Raises UnavailableError."""
        moment = run.at.isoformat() if run.at else None
        note = json.dumps({"at": moment, "result": run.result})
        try:
            self._snapshots.note_run(name, note)
        except RedisError as error:
            raise unavailable(error) from None

    def runs(self, names: Sequence[str]) -> dict[str, LastRun]:
        """Return the last run of each schedule, as far as Redis knows. Raises UnavailableError."""
        seen = self._seen(self._snapshots.look)
        return {name: _last_run(self._meta(seen, name), seen.runs.get(name)) for name in names}

    def version(self, names: Sequence[str]) -> tuple[str, Mapping[str, str]]:
        """Return what differs after each change, and for each of `names` after each run.

        It may be what beat saw a second ago. Raises UnavailableError.
        """
        seen = self._seen(self._snapshots.recent)
        runs = {name: f"{self._meta(seen, name)} {seen.runs.get(name)}" for name in names}
        return str(seen.version), runs

    def _seen(self, look: Callable[[], ScheduleSnapshot]) -> ScheduleSnapshot:
        try:
            return look()
        except RedisError as error:
            raise unavailable(error) from None

    def _meta(self, seen: ScheduleSnapshot, name: str) -> str | None:
        return seen.metas.get(Entry.generate_key(settings_of(self._app).app, name))

    def next_run(self, schedule: Schedule, last: LastRun) -> datetime | None:
        """Return when a schedule runs next; None when it is disabled."""
        if not schedule.enabled:
            return None
        entry = self._entry(schedule, last.at)
        entry.last_run_at = _start_from(entry, last.at, made_up=False)
        due_at = entry.due_at
        # What is overdue runs at once.
        return max(due_at, datetime.now(UTC)) if due_at else None

    def _entry(self, schedule: Schedule, last_run_at: datetime | None) -> Entry:
        settings_of(self._app)
        headers = {SCHEDULE_HEADER: schedule.name, EVERY_HEADER: schedule.every or 0}
        options = {
            "expires": schedule.expires_s,
            "headers": headers,
            "queue": POLLS,
            # What comes of it is noted as the schedule's last run.
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
        # Celery would put the present in the place of "never".
        entry.last_run_at = last_run_at
        return entry

    def _write(self, entries: list[Entry]) -> None:
        client = client_of(self._app)
        due_times = settings_of(self._app).schedule_key
        digest = _digest(entries)
        seen = self._snapshots.look()
        if seen.seeded == digest:
            return
        for key in seen.metas.keys() - {entry.key for entry in entries}:
            client.zrem(due_times, key)
            client.delete(key)
        for entry in entries:
            known = _last_run(seen.metas.get(entry.key), seen.runs.get(entry.name)).at
            last = _latest(entry.last_run_at, known)
            entry.last_run_at = _start_from(entry, last, made_up=seen.seeded is None)
            entry.ran = last is not None and entry.last_run_at == last
            entry.save()
        client.set(SEEDED_KEY, digest)


def _last_run(meta: str | None, note: str | None) -> LastRun:
    """Put together when beat sent it last and what was noted of its end."""
    ended = _noted(note) if note else LastRun()
    return LastRun(_latest(_sent_at(meta), ended.at), ended.result)


def _noted(note: str) -> LastRun:
    """Parse the record of a run; an invalid record is ignored."""
    try:
        noted = json.loads(note)
        ended = datetime.fromisoformat(noted["at"]) if noted["at"] else None
        return LastRun(ended, noted["result"])
    except UNREADABLE:
        return LastRun()


def _sent_at(meta: str | None) -> datetime | None:
    """Read when beat sent a schedule last; None as well where that is unreadable."""
    try:
        known = Entry.decode_meta(meta)
        return known["last_run_at"] if known.get("ran", True) else None
    except UNREADABLE:
        return None


def _digest(entries: list[Entry]) -> str:
    text = json.dumps(sorted(entry.definition() for entry in entries))
    return hashlib.sha256(text.encode()).hexdigest()


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [moment for moment in (one, other) if moment]
    return max(known) if known else None


def _start_from(entry: Entry, last_run_at: datetime | None, *, made_up: bool) -> datetime | None:
    """Return from when on runs are due: never from the future, where a wrong clock had been.

    A crontab's run is `made_up` for only after a restart: one that was just enabled or changed
    counts from now.
    """
    now = datetime.now(UTC)
    if "every" in entry.schedule.rule.to_json():
        return min(last_run_at, now) if last_run_at else None
    return min(max(last_run_at, now - MAKE_UP), now) if last_run_at and made_up else now
