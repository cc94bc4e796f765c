"""The scheduler goes on whatever happens to Redis, the database, or another scheduler."""

import json

import pytest
from celery.beat import SchedulingError
from redis.exceptions import RedisError
from support.beat_bench import Bench, Record
from support.redis_server import RedisProcess
from support.waiting import eventually

from esquirell.beat.scheduler import RECONCILE_S, TURN_S, Scheduler
from esquirell.beat.snapshot import RUNS_KEY
from esquirell.broker.lease import Lease
from esquirell.broker.outage import SOUND_S, Outage
from esquirell.broker.queue import POLLS, queue_key
from esquirell.domain.schedule import Schedule


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
def test_an_undecodable_entry_is_rewritten(bench: Bench, server: RedisProcess, field: str) -> None:
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


def test_damaged_records_of_runs_do_not_stop_the_scheduler(
    bench: Bench, server: RedisProcess
) -> None:
    server.client.set(RUNS_KEY, "of another program")
    bench.turn_until_sent(2)
    server.client.delete(RUNS_KEY)
    server.client.hset(RUNS_KEY, "fetch", "no note")
    assert bench.timetable.runs(["fetch"])["fetch"].at is not None


def test_an_entry_under_another_name_stops_nothing(bench: Bench, server: RedisProcess) -> None:
    bench.turn_until_sent(1)
    stray = "esquirell:redbeat:stray"
    for field in ("definition", "meta"):
        server.client.hset(stray, field, str(server.client.hget("esquirell:redbeat:fetch", field)))
    server.client.zadd("esquirell:redbeat::schedule", {stray: 1})
    bench.turn_until_sent(4)


def test_one_of_two_beats_is_active_and_the_other_takes_over(
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


class Refusing(Scheduler):
    """A scheduler whose messages can't be sent, for this reason."""

    reason: Exception

    def apply_async(self, *_: object, **__: object) -> object:
        error = SchedulingError()
        error.__context__ = self.reason
        raise error


def test_messages_that_redis_refuses_wait_and_unsendable_ones_are_logged(
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
