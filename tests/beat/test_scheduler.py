"""When the scheduler sends a schedule's task, and what it records of its runs."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from support.beat_bench import Bench, Record
from support.redis_server import RedisProcess
from support.waiting import LIMIT_S, eventually

from esquirell.beat.scheduler import QUEUE_LIMIT, RECONCILE_S
from esquirell.broker.queue import POLLS, Queues, queue_key
from esquirell.domain.schedule import LastRun, Schedule


def test_a_schedule_that_never_ran_runs_at_once_and_then_on_the_grid(bench: Bench) -> None:
    headers = bench.turn_until_sent(1)
    assert {one["task"] for one in headers} == {"esquirell.tasks.rollup"}

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


def test_schedules_due_while_the_database_hangs_are_sent_afterwards(
    bench: Bench, record: Record
) -> None:
    record.schedules = {"slow": Schedule(name="slow", every=2, task="rollup")}
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


def test_a_changed_schedule_is_sent_with_its_new_definition(
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


def test_a_poll_that_still_waits_gives_way_to_the_next(
    bench: Bench, record: Record, server: RedisProcess
) -> None:
    """A worker that takes fewer than are sent would find them expired, one after another."""
    record.schedules = {
        "poll": Schedule(name="poll", every=1),
        "sum": Schedule(name="sum", every=1, task="rollup"),
    }
    bench.sync()
    server.client.lpush(queue_key(POLLS), json.dumps({"headers": {"esquirell_schedule": "other"}}))
    *sent, other = bench.turn_until_sent(6)
    assert other["esquirell_schedule"] == "other"
    (poll,) = (one for one in sent if one["esquirell_schedule"] == "poll")
    assert poll["esquirell_sent_at"] > sent[-1]["esquirell_sent_at"]


def test_nothing_piles_up_without_a_worker(
    bench: Bench, record: Record, server: RedisProcess
) -> None:
    record.schedules = {name: Schedule(name=name, every=1) for name in ("one", "two", "three")}
    bench.sync()
    server.client.rpush(queue_key(POLLS), *[json.dumps({"headers": {}})] * (QUEUE_LIMIT - 2))
    for _ in range(20):
        time.sleep(min(bench.scheduler.tick(), 0.1))
    assert server.client.llen(queue_key(POLLS)) == QUEUE_LIMIT


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


def test_the_result_of_a_run_is_kept_until_the_schedule_is_removed(bench: Bench) -> None:
    run = LastRun(datetime(2026, 11, 22, 12, tzinfo=UTC), "error")
    bench.timetable.note_run("fetch", run)
    assert bench.timetable.runs(["fetch"]) == {"fetch": run}
    bench.timetable.forget("fetch")
    assert bench.timetable.runs(["fetch"]) == {"fetch": LastRun()}


def test_an_overdue_schedule_is_next_now(bench: Bench) -> None:
    began = datetime.now(UTC)
    next_run = bench.timetable.next_run(
        Schedule(name="fetch", every=60), LastRun(began - timedelta(hours=1))
    )
    assert next_run is not None
    assert next_run >= began


def test_the_backlog_is_counted(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(2)
    length, oldest_s = Queues(server.client).backlog()
    assert length == 2
    assert 0 < oldest_s < LIMIT_S
