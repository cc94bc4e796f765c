"""When schedules ran and run next, as Redis says: read without Celery, which few commands need."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from esquirell.beat.rules import Grid, Rule, explain, rule_of
from esquirell.beat.snapshot import ScheduleSnapshot, ScheduleSnapshots
from esquirell.broker.connection import reaching_redis
from esquirell.broker.queue import REDBEAT_PREFIX
from esquirell.domain.schedule import LastRun, Schedule

# A crontab's run that fell into a restart is made up for within this time; an older one is not:
# what was meant for 22:00 should not happen at breakfast.
MAKE_UP = timedelta(minutes=5)
# Raised when a stored value is not a valid entry.
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
_FIELDS = ("year", "month", "day", "hour", "minute", "second", "microsecond")


class TimetableView:
    """Reads the timetable; `zone` is for crontabs that name none."""

    def __init__(self, snapshots: ScheduleSnapshots, zone: str) -> None:
        self._snapshots = snapshots
        self._zone = zone

    def check(self, schedule: Schedule) -> None:
        """Refuse a schedule that could never run. Raises ConfigError."""
        rule_of(schedule, self._zone)

    def explain(self, cron: str, timezone: str | None, count: int) -> tuple[str, list[datetime]]:
        """Return a crontab in English words, and its next runs. Raises ConfigError."""
        return explain(cron, timezone or self._zone, count)

    def runs(self, names: Sequence[str]) -> dict[str, LastRun]:
        """Return the last run of each schedule, as far as Redis knows. Raises UnavailableError."""
        seen = self._seen(self._snapshots.look)
        return {name: last_run(self._meta(seen, name), seen.runs.get(name)) for name in names}

    def version(self, names: Sequence[str]) -> tuple[str, Mapping[str, str]]:
        """Return what differs after each change, and for each of `names` after each run.

        It may be what beat saw a second ago. Raises UnavailableError.
        """
        seen = self._seen(self._snapshots.recent)
        runs = {name: f"{self._meta(seen, name)} {seen.runs.get(name)}" for name in names}
        return str(seen.version), runs

    def _seen(self, look: Callable[[], ScheduleSnapshot]) -> ScheduleSnapshot:
        with reaching_redis():
            return look()

    def _meta(self, seen: ScheduleSnapshot, name: str) -> str | None:
        return seen.metas.get(REDBEAT_PREFIX + name)

    def next_run(self, schedule: Schedule, last: LastRun) -> datetime | None:
        """Return when a schedule runs next; None when it is disabled."""
        if not schedule.enabled:
            return None
        now, rule = datetime.now(UTC), rule_of(schedule, self._zone)
        begin = start_from(rule, last.at, made_up=False)
        due_at = rule.after(begin) if begin else now
        # What is overdue runs at once.
        return max(due_at, now) if due_at else None


def last_run(meta: str | None, note: str | None) -> LastRun:
    """Put together when beat sent it last and what was noted of its end."""
    ended = _noted(note) if note else LastRun()
    return LastRun(latest(_sent_at(meta), ended.at), ended.result)


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
        known = json.loads(meta) if meta else {}
        written = known.get("last_run_at")
        return _moment(written) if written and known.get("ran", True) else None
    except UNREADABLE:
        return None


def _moment(written: Mapping[str, Any]) -> datetime:
    """Read a moment as RedBeat's encoder writes it (redbeat/decoder.py): its zone in seconds."""
    zone = written.get("timezone", "UTC")
    tzinfo = ZoneInfo(zone) if isinstance(zone, str) else timezone(timedelta(seconds=zone))
    year, month, day, hour, minute, second, microsecond = (written[name] for name in _FIELDS)
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo)


def latest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two moments, as far as they are known."""
    known = [moment for moment in (one, other) if moment]
    return max(known) if known else None


def start_from(rule: Rule, last_run_at: datetime | None, *, made_up: bool) -> datetime | None:
    """Return from when on runs are due: never from the future, where a wrong clock had been.

    A crontab's run is `made_up` for only after a restart: one that was just enabled or changed
    counts from now.
    """
    now = datetime.now(UTC)
    if isinstance(rule, Grid):
        return min(last_run_at, now) if last_run_at else None
    return min(max(last_run_at, now - MAKE_UP), now) if last_run_at and made_up else now
