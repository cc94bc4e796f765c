"""A RedBeat entry whose due time comes from our own rule and survives a round trip to Redis."""

import json
from datetime import datetime
from typing import Any, cast

from celery import Celery
from celery.beat import ScheduleEntry
from celery.schedules import BaseSchedule, schedstate

from esquirell.beat.redbeat import RedBeatJSONEncoder, RedBeatSchedulerEntry, client_of
from esquirell.beat.rules import Rule, from_json

NEVER_S = 86_400.0


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
