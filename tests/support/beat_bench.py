"""A scheduler on a real Redis, with a clock that the test moves."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from celery import Celery
from support.redis_server import RedisProcess
from support.waiting import LIMIT_S

from esquirell.beat.redbeat import client_of
from esquirell.beat.scheduler import Clocks, Scheduler
from esquirell.beat.snapshot import ScheduleSnapshots
from esquirell.beat.timetable import RedBeatTimetable
from esquirell.broker.lease import Lease
from esquirell.broker.outage import Outage
from esquirell.broker.queue import POLLS, queue_key
from esquirell.domain.errors import UnavailableError
from esquirell.domain.schedule import LastRun, Schedule


class Record:
    """The database's part: schedules and their last runs."""

    def __init__(self, *schedules: Schedule) -> None:
        self.schedules = {schedule.name: schedule for schedule in schedules}
        self.runs: dict[str, LastRun] = {}
        self.away = False
        self.pause_s = 0.0

    def ran_just_now(self) -> None:
        self.runs = {name: LastRun(datetime.now(UTC)) for name in self.schedules}


class Bench:
    """A scheduler over a real Redis, turned by hand."""

    def __init__(self, app: Celery, server: RedisProcess, record: Record) -> None:
        self.app, self.server, self.record = app, server, record
        self.snapshots = ScheduleSnapshots(client_of(app))
        self.timetable = RedBeatTimetable(app, self.snapshots, "UTC")
        self.later_s = self.set_by_s = 0.0
        self.synced = 0
        self.scheduler = self.new_scheduler("me")

    def new_scheduler(self, owner: str) -> Scheduler:
        client = self.app.redbeat_redis  # type: ignore[attr-defined] # as RedBeat keeps it
        lease = Lease(client, "beat", owner)
        clocks = Clocks(
            lambda: time.time() + self.later_s + self.set_by_s,
            lambda: time.monotonic() + self.later_s,
        )
        return Scheduler(self.app, self.snapshots, self.sync, lease, Outage(client), clocks)

    def sync(self) -> None:
        self.synced += 1
        # As long as a database that is away is waited for.
        time.sleep(self.record.pause_s)
        if self.record.away:
            raise UnavailableError("the database is unreachable")
        self.timetable.replace(self.record.schedules, self.record.runs)

    def sent(self) -> list[dict[str, Any]]:
        return [
            json.loads(text)["headers"]
            for text in self.server.client.lrange(queue_key(POLLS), 0, -1)
        ]

    def turn_until_sent(self, count: int, within: float = LIMIT_S) -> list[dict[str, Any]]:
        deadline = time.monotonic() + within
        while len(self.sent()) < count:
            assert time.monotonic() < deadline, f"{len(self.sent())} of {count} sent"
            time.sleep(min(self.scheduler.tick(), 0.2))
        return self.sent()
