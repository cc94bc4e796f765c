import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery
from celery.beat import SchedulingError
from redis.exceptions import RedisError
from support.redis_server import RedisProcess
from support.waiting import LIMIT_S, eventually

from esquirell.beat.redbeat import client_of
from esquirell.beat.scheduler import QUEUE_LIMIT, RECONCILE_S, TURN_S, Clocks, Scheduler
from esquirell.beat.snapshot import RUNS_KEY, ScheduleSnapshots
from esquirell.beat.timetable import RedBeatTimetable
from esquirell.broker.lease import Lease
from esquirell.broker.outage import SOUND_S, Outage
from esquirell.broker.queue import POLLS, Queues, queue_key
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


@pytest.fixture
def record() -> Record:
    return Record(Schedule(name="fetch", every=1))


@pytest.fixture
def bench(app: Celery, server: RedisProcess, record: Record) -> Iterator[Bench]:
    bench = Bench(app, server, record)
    yield bench
    bench.scheduler.close()


def test_a_schedule_that_never_ran_runs_at_once_and_then_on_the_grid(bench: Bench) -> None:
    headers = bench.turn_until_sent(1)
    assert {one["task"] for one in headers} == {"esquirell.tasks.fetch_and_save_energy_data"}

    def on_the_grid() -> bool:
        """Return whether three runs in a row are; on a busy machine one comes late."""
        moments = [one["esquirell_sent_at"] for one in bench.turn_until_sent(len(bench.sent()) + 3)]
        return all(moment % 1 < 0.2 for moment in sorted(moments)[-3:])

    eventually(on_the_grid, 30)


def test_messages_carry_schedule_and_expiry(bench: Bench, record: Record) -> None:
    record.schedules["fetch"] = Schedule(name="fetch", every=60, expires=30, meters=("main",))
    (headers,) = bench.turn_until_sent(1)
    assert (headers["esquirell_schedule"], headers["esquirell_every"]) == ("fetch", 60)
    expires = datetime.fromisoformat(headers["expires"])
    assert timedelta(seconds=25) < expires - datetime.now(UTC) <= timedelta(seconds=30)
    assert headers["kwargsrepr"] == "{'meters': ['main']}"


def test_a_recent_run_is_not_repeated_at_a_start(bench: Bench, record: Record) -> None:
    record.schedules = {"slow": Schedule(name="slow", every=86_400)}
    record.runs = {"slow": LastRun(datetime.now(UTC))}
    for _ in range(3):
        bench.scheduler.tick()
    assert bench.sent() == []


def test_an_interval_overdue_at_a_start_runs_once(bench: Bench, record: Record) -> None:
    record.schedules = {"slow": Schedule(name="slow", every=86_400)}
    record.runs = {"slow": LastRun(datetime.now(UTC) - timedelta(days=9))}
    for _ in range(3):
        bench.scheduler.tick()
    assert len(bench.sent()) == 1


def test_a_new_crontab_waits_for_its_time(bench: Bench, record: Record) -> None:
    record.schedules = {"yearly": Schedule(name="yearly", cron="0 0 1 1 *")}
    for _ in range(3):
        bench.scheduler.tick()
    assert bench.sent() == []


@pytest.mark.parametrize(("missed", "sent"), [(timedelta(minutes=2), 1), (timedelta(hours=9), 0)])
def test_a_crontab_missed_in_a_restart_is_made_up_for(
    bench: Bench, record: Record, missed: timedelta, sent: int
) -> None:
    due = datetime.now(UTC) - missed
    cron = f"{due.minute} {due.hour} * * *"
    record.schedules = {"daily": Schedule(name="daily", cron=cron)}
    record.runs = {"daily": LastRun(due - timedelta(days=1))}
    for _ in range(3):
        bench.scheduler.tick()
    # A crontab has no interval.
    assert [headers["esquirell_every"] for headers in bench.sent()] == [0] * sent
    # From when on its runs are counted is no run.
    assert (bench.timetable.runs(["daily"])["daily"] == LastRun()) is not bool(sent)


def test_redis_emptied_is_filled_again(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(1)
    server.client.flushall()
    bench.turn_until_sent(2)
    assert server.client.zcard("esquirell:redbeat::schedule") == 1


def test_whichever_key_redis_evicts_schedules_go_on(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(1)
    for key in sorted(set(server.client.scan_iter()) - {queue_key(POLLS)}):
        server.client.delete(key)
        bench.turn_until_sent(len(bench.sent()) + 2, within=RECONCILE_S / 2)


def test_an_entry_that_another_client_takes_from_the_list_is_rewritten(
    bench: Bench, server: RedisProcess
) -> None:
    bench.turn_until_sent(1)
    server.client.zrem("esquirell:redbeat::schedule", "esquirell:redbeat:fetch")
    bench.turn_until_sent(3, within=RECONCILE_S / 2)


def test_redis_killed_and_started_empty(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(1)
    server.kill()
    assert bench.scheduler.tick() == TURN_S
    server.start()
    bench.turn_until_sent(1)


def test_the_database_away_stops_no_schedule(bench: Bench, record: Record) -> None:
    bench.turn_until_sent(1)
    record.away = True
    bench.turn_until_sent(3)


def test_an_unreadable_entry_is_rewritten(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(1)
    server.client.hset("esquirell:redbeat:fetch", "definition", '{"schedule": {"every": "never"')
    bench.turn_until_sent(3)


@pytest.mark.parametrize("field", ["definition", "meta"])
def test_an_entry_that_is_no_text_is_rewritten(
    bench: Bench, server: RedisProcess, field: str
) -> None:
    bench.turn_until_sent(1)
    server.client.hset("esquirell:redbeat:fetch", field, b"\xff")
    bench.turn_until_sent(3)


def test_an_entry_overwritten_by_something_else_is_rewritten(
    bench: Bench, server: RedisProcess
) -> None:
    bench.turn_until_sent(1)
    server.client.set("esquirell:redbeat:fetch", "of another program")
    bench.turn_until_sent(3)


def test_what_another_program_left_there_before_is_replaced(
    bench: Bench, server: RedisProcess
) -> None:
    server.client.set("esquirell:redbeat:fetch", "of another program")
    bench.turn_until_sent(2)


def test_notes_of_runs_that_are_none_stop_nothing(bench: Bench, server: RedisProcess) -> None:
    server.client.set(RUNS_KEY, "of another program")
    bench.turn_until_sent(2)
    server.client.delete(RUNS_KEY)
    server.client.hset(RUNS_KEY, "fetch", "no note")
    assert bench.timetable.runs(["fetch"])["fetch"].at is not None


def test_what_comes_due_while_the_database_is_waited_for_is_sent_then(
    bench: Bench, record: Record
) -> None:
    record.schedules = {"slow": Schedule(name="slow", every=2)}
    bench.turn_until_sent(2)
    record.away, record.pause_s = True, 2.2
    bench.later_s += RECONCILE_S
    bench.scheduler.tick()
    assert len(bench.sent()) == 3


def test_a_schedule_that_has_disappeared_is_not_sent(
    bench: Bench, record: Record, server: RedisProcess
) -> None:
    bench.turn_until_sent(1)
    record.schedules = {}
    bench.sync()
    server.client.delete(queue_key(POLLS))
    for _ in range(3):
        time.sleep(min(bench.scheduler.tick(), 1.0))
    assert bench.sent() == []
    assert server.client.keys("esquirell:redbeat:fetch") == []


def test_what_was_changed_since_the_last_look_is_not_sent_as_it_was(
    bench: Bench, record: Record, server: RedisProcess
) -> None:
    record.schedules = {"fetch": Schedule(name="fetch", every=2)}
    pause_s = 1.0
    while pause_s >= 1.0 or not bench.sent():
        # At the last look it was known to be due within a second.
        pause_s = bench.scheduler.tick()
    server.client.delete(queue_key(POLLS))
    record.schedules = {"fetch": Schedule(name="fetch", every=2, meters=("main",))}
    bench.sync()
    time.sleep(pause_s)
    bench.scheduler.tick()
    (headers,) = bench.sent()
    assert headers["kwargsrepr"] == "{'meters': ['main']}"


def test_an_entry_under_another_name_stops_nothing(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(1)
    stray = "esquirell:redbeat:stray"
    for field in ("definition", "meta"):
        server.client.hset(stray, field, str(server.client.hget("esquirell:redbeat:fetch", field)))
    server.client.zadd("esquirell:redbeat::schedule", {stray: 1})
    bench.turn_until_sent(4)


def test_a_clock_set_back_stops_nothing(bench: Bench, record: Record) -> None:
    record.runs = {"fetch": LastRun(datetime.now(UTC) + timedelta(hours=1))}
    bench.turn_until_sent(2)


def test_a_clock_set_back_while_running_stops_nothing(bench: Bench) -> None:
    """As if the clock had been an hour ahead until now: all due times lie in the future."""
    bench.turn_until_sent(1)
    ahead = datetime.now(UTC) + timedelta(hours=1)
    bench.scheduler.Entry.from_key("esquirell:redbeat:fetch", app=bench.app).reschedule(ahead)
    for _ in range(3):
        time.sleep(min(bench.scheduler.tick(), 0.5))
    assert len(bench.sent()) == 1
    bench.set_by_s -= 3600
    bench.turn_until_sent(3)


def test_nothing_piles_up_without_a_worker(
    bench: Bench, record: Record, server: RedisProcess
) -> None:
    record.schedules = {name: Schedule(name=name, every=1) for name in ("one", "two", "three")}
    bench.sync()
    server.client.rpush(queue_key(POLLS), *[json.dumps({"headers": {}})] * (QUEUE_LIMIT - 2))
    for _ in range(20):
        time.sleep(min(bench.scheduler.tick(), 0.1))
    assert server.client.llen(queue_key(POLLS)) == QUEUE_LIMIT


def test_of_two_beats_one_is_active_and_the_other_takes_over(
    bench: Bench, server: RedisProcess
) -> None:
    other = bench.new_scheduler("other")
    bench.scheduler.tick()
    other.tick()
    assert server.client.get("esquirell:lease:beat") == "me"
    bench.scheduler.close()
    other.tick()
    assert server.client.get("esquirell:lease:beat") == "other"


def test_the_database_is_asked_every_half_minute_and_when_entries_are_lost(
    bench: Bench, record: Record, server: RedisProcess
) -> None:
    record.schedules |= {"other": Schedule(name="other", every=60)}

    def turn() -> int:
        for _ in range(5):
            bench.scheduler.tick()
        return bench.synced

    assert turn() == 1
    bench.later_s += RECONCILE_S - 5
    assert turn() == 1
    bench.later_s += 5
    assert turn() == 2
    server.client.delete("esquirell:redbeat:other")
    server.client.zrem("esquirell:redbeat::schedule", "esquirell:redbeat:other")
    assert turn() == 3


def test_a_lease_not_renewed_is_lost(bench: Bench, server: RedisProcess) -> None:
    bench.scheduler.tick()
    assert 0 < server.client.pttl("esquirell:lease:beat") <= 15_000
    server.client.pexpire("esquirell:lease:beat", 50)
    other = bench.new_scheduler("other")

    def taken() -> bool:
        other.tick()
        return bool(server.client.get("esquirell:lease:beat") == "other")

    eventually(taken, what="the other takes over")


def test_next_run_is_when_it_then_runs(bench: Bench, record: Record) -> None:
    record.ran_just_now()
    schedule, last = record.schedules["fetch"], record.runs["fetch"]
    foretold = bench.timetable.next_run(schedule, last)
    assert foretold is not None
    (headers,) = bench.turn_until_sent(1)
    # The next run would be a second later.
    assert 0 <= headers["esquirell_sent_at"] - foretold.timestamp() < 1
    assert bench.timetable.next_run(schedule.model_copy(update={"enabled": False}), last) is None


def test_a_crontab_is_explained_in_the_configured_zone_unless_it_has_its_own(bench: Bench) -> None:
    for zone, hour in ((None, 8), ("Asia/Tokyo", 23)):
        words, (run,) = bench.timetable.explain("30 8 * * *", zone, 1)
        assert words == "At 08:30 every day"
        assert (run.astimezone(UTC).hour, run.minute) == (hour, 30)


class Refusing(Scheduler):
    """A scheduler whose messages can't be sent, for this reason."""

    reason: Exception

    def apply_async(self, *_: object, **__: object) -> object:
        error = SchedulingError()
        error.__context__ = self.reason
        raise error


def test_what_redis_does_not_take_waits_and_what_nobody_can_send_is_said(
    bench: Bench, server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    lease = Lease(server.client, "beat", "me")
    outage = Outage(server.client)
    beat = Refusing(bench.app, bench.snapshots, bench.sync, lease, outage)
    beat.reason = TypeError("no JSON")
    beat.tick()
    assert "schedule fetch can't be sent: no JSON" in caplog.text
    caplog.clear()
    beat.reason = RedisError("gone")
    assert beat.tick() > 0
    beat.close()
    assert "can't be sent" not in caplog.text


def test_what_came_of_a_run_is_known_until_it_is_forgotten(bench: Bench) -> None:
    run = LastRun(datetime(2026, 11, 22, 12, tzinfo=UTC), "error")
    bench.timetable.note_run("fetch", run)
    assert bench.timetable.runs(["fetch"]) == {"fetch": run}
    bench.timetable.forget("fetch")
    assert bench.timetable.runs(["fetch"]) == {"fetch": LastRun()}


def test_entries_that_are_as_the_record_has_them_are_not_written_again(
    bench: Bench, server: RedisProcess
) -> None:
    bench.scheduler.tick()
    server.client.hset("esquirell:redbeat:fetch", "definition", "as it was")
    bench.sync()
    assert server.client.hget("esquirell:redbeat:fetch", "definition") == "as it was"


def test_beat_says_when_redis_works_again(
    bench: Bench, server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    seconds = [0.0]
    outage = Outage(server.client, lambda: seconds[0])
    lease = Lease(server.client, "beat", "me")
    beat = Scheduler(bench.app, bench.snapshots, bench.sync, lease, outage)
    outage.failed("beat", RedisError("gone"))
    seconds[0] += SOUND_S
    beat.tick()
    beat.close()
    assert "Redis works again" in caplog.text


def test_what_is_overdue_runs_next_at_once(bench: Bench) -> None:
    began = datetime.now(UTC)
    next_run = bench.timetable.next_run(
        Schedule(name="fetch", every=60), LastRun(began - timedelta(hours=1))
    )
    assert next_run is not None
    assert next_run >= began


def test_each_start_writes_the_entries_again(bench: Bench, server: RedisProcess) -> None:
    """Redis says that they are as the record has them, which they need not be."""
    bench.turn_until_sent(1)
    definition = server.client.hget("esquirell:redbeat:fetch", "definition")
    assert isinstance(definition, str)
    wrong = json.loads(definition) | {"task": "esquirell.tasks.save_hourly"}
    server.client.hset("esquirell:redbeat:fetch", "definition", json.dumps(wrong))
    bench.scheduler.close()
    bench.scheduler = bench.new_scheduler("next")
    bench.scheduler.tick()
    assert server.client.hget("esquirell:redbeat:fetch", "definition") == definition


def test_the_backlog_is_counted(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(2)
    backlog = Queues(server.client).backlog()
    assert backlog.length == 2
    assert 0 < backlog.oldest_s < LIMIT_S
