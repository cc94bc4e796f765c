import pytest
from celery import Celery
from support.redis_server import RedisProcess

from esquirell.beat.redbeat import client_of, settings_of
from esquirell.beat.snapshot import (
    RUNS_KEY,
    SEEDED_KEY,
    VERSION_KEY,
    Order,
    ScheduleSnapshot,
    ScheduleSnapshots,
)
from esquirell.beat.timetable import RedBeatTimetable
from esquirell.broker.connection import RedisError
from esquirell.broker.queue import POLLS, queue_key


@pytest.fixture
def snapshots(app: Celery) -> ScheduleSnapshots:
    return ScheduleSnapshots(client_of(app))


def test_a_snapshot_of_an_empty_redis_is_empty(snapshots: ScheduleSnapshots) -> None:
    assert snapshots.look() == ScheduleSnapshot()


def test_all_is_seen_at_once(
    snapshots: ScheduleSnapshots, app: Celery, server: RedisProcess
) -> None:
    server.client.set(SEEDED_KEY, "digest")
    server.client.set(VERSION_KEY, 3)
    server.client.hset(RUNS_KEY, mapping={"fetch": "ok", "backup": "error"})
    server.client.rpush(queue_key(POLLS), "one", "two")
    for name, due in (("soon", 1), ("later", 4_000_000_000), ("never", -1)):
        server.client.hset(
            f"esquirell:redbeat:{name}", mapping={"definition": name, "meta": f"{name} ran"}
        )
        server.client.zadd(settings_of(app).schedule_key, {f"esquirell:redbeat:{name}": due})
    assert snapshots.look() == ScheduleSnapshot(
        seeded="digest",
        version="3",
        runs={"fetch": "ok", "backup": "error"},
        waiting=2,
        metas={f"esquirell:redbeat:{name}": f"{name} ran" for name in ("soon", "later", "never")},
        due={"esquirell:redbeat:soon": "soon"},
    )


@pytest.mark.parametrize("found", [None, "text"])
def test_a_due_entry_without_a_definition_is_seen_as_empty(
    snapshots: ScheduleSnapshots, app: Celery, server: RedisProcess, found: str | None
) -> None:
    server.client.zadd(settings_of(app).schedule_key, {"esquirell:redbeat:fetch": 1})
    if found:
        server.client.set("esquirell:redbeat:fetch", found)
    snapshot = snapshots.look()
    assert (snapshot.metas, snapshot.due) == (
        {"esquirell:redbeat:fetch": None},
        {"esquirell:redbeat:fetch": ""},
    )


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_beat_saw_is_not_asked_for_again_for_two_seconds(
    app: Celery, server: RedisProcess
) -> None:
    clock = Clock()
    snapshots = ScheduleSnapshots(client_of(app), clock)
    seen = snapshots.share(1.0)
    server.client.set(VERSION_KEY, 2)
    clock.now += 2.0
    assert snapshots.recent() is seen
    clock.now += 0.5
    assert snapshots.recent().version == "2"


def test_runs_are_noted_with_the_next_look_of_beat(app: Celery, server: RedisProcess) -> None:
    clock = Clock()
    snapshots = ScheduleSnapshots(client_of(app), clock)
    snapshots.note_run("alone", "ok")
    assert server.client.hgetall(RUNS_KEY) == {"alone": "ok"}
    snapshots.share(1.0)
    snapshots.note_run("fetch", "error")
    snapshots.note_run("fetch", "ok")
    assert server.client.hgetall(RUNS_KEY) == {"alone": "ok"}
    assert snapshots.share(1.0).runs == {"alone": "ok", "fetch": "ok"}
    snapshots.note_run("fetch", "error")
    snapshots.close()
    assert server.client.hget(RUNS_KEY, "fetch") == "error"
    snapshots.note_run("fetch", "ok")
    assert server.client.hget(RUNS_KEY, "fetch") == "ok"


def test_runs_wait_for_redis(app: Celery, server: RedisProcess) -> None:
    snapshots = ScheduleSnapshots(client_of(app), Clock())
    snapshots.share(1.0)
    snapshots.note_run("fetch", "ok")
    server.stop()
    with pytest.raises(RedisError):
        snapshots.share(1.0)
    server.start()
    assert snapshots.share(1.0).runs == {"fetch": "ok"}


@pytest.mark.parametrize("foreign", ["string", "list"])
def test_runs_are_noted_where_something_foreign_was(
    app: Celery, server: RedisProcess, foreign: str
) -> None:
    snapshots = ScheduleSnapshots(client_of(app), Clock())
    snapshots.share(1.0)
    if foreign == "string":
        server.client.set(RUNS_KEY, b"\xff")
    else:
        server.client.rpush(RUNS_KEY, "x")
    snapshots.note_run("fetch", "ok")
    assert snapshots.share(1.0).runs == {"fetch": "ok"}


def allow(server: RedisProcess, *rights: str) -> None:
    # redis-py has no types here.
    server.client.execute_command("ACL", "SETUSER", "default", *rights)  # type: ignore[no-untyped-call]


def test_runs_that_redis_refuses_to_note_wait_and_hold_up_nothing(
    app: Celery, server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    snapshots = ScheduleSnapshots(client_of(app), Clock())
    snapshots.share(1.0)
    allow(server, "-hset")
    snapshots.note_run("fetch", "ok")
    for _ in range(3):
        assert snapshots.share(1.0).runs == {}
    assert caplog.text.count("Redis refuses to record when schedules ran") == 1
    allow(server, "+hset")
    assert snapshots.share(1.0).runs == {"fetch": "ok"}


ENTRY = "esquirell:redbeat:fetch"


def order(message: str, *queues: str) -> Order:
    messages = [(queue_key(queue), message) for queue in queues or (POLLS,)]
    return Order(ENTRY, "{}", "before", "after", 4e9, messages)


def test_a_message_without_a_queue_does_not_count_as_sent(
    app: Celery, server: RedisProcess
) -> None:
    snapshots = ScheduleSnapshots(client_of(app), Clock())
    server.client.hset(ENTRY, mapping={"definition": "{}", "meta": "before"})
    server.client.set(queue_key(POLLS), "something foreign")
    for _ in range(2):
        with pytest.raises(RedisError, match="wrong kind"):
            snapshots.share(1.0, [order("run", "others", POLLS)])
    assert server.client.hget(ENTRY, "meta") == "before"
    # Nor is a part of it sent.
    assert server.client.llen(queue_key("others")) == 0
    server.client.delete(queue_key(POLLS))
    snapshots.share(1.0, [order("run", "others", POLLS)])
    assert server.client.hget(ENTRY, "meta") == "after"
    assert server.client.lrange(queue_key(POLLS), 0, -1) == ["run"]
    assert server.client.lrange(queue_key("others"), 0, -1) == ["run"]


@pytest.mark.parametrize("refused", ["lpush", "zadd", "hset"])
def test_a_run_counts_as_sent_with_its_message_or_not_at_all(
    app: Celery, server: RedisProcess, refused: str
) -> None:
    snapshots = ScheduleSnapshots(client_of(app), Clock())
    server.client.hset(ENTRY, mapping={"definition": "{}", "meta": "before"})
    server.client.zadd(settings_of(app).schedule_key, {ENTRY: 5.0})
    allow(server, f"-{refused}")
    for _ in range(2):
        with pytest.raises(RedisError, match=r"permission|can't run this command"):
            snapshots.share(1.0, [order("run")])
    assert server.client.hget(ENTRY, "meta") == "before"
    assert server.client.zscore(settings_of(app).schedule_key, ENTRY) == 5.0
    assert server.client.llen(queue_key(POLLS)) == 0
    allow(server, f"+{refused}")
    snapshots.share(1.0, [order("run")])
    assert server.client.lrange(queue_key(POLLS), 0, -1) == ["run"]


def test_a_timetable_that_is_foreign_sends_nothing_twice(app: Celery, server: RedisProcess) -> None:
    snapshots = ScheduleSnapshots(client_of(app), Clock())
    server.client.hset(ENTRY, mapping={"definition": "{}", "meta": "before"})
    server.client.set(settings_of(app).schedule_key, "something foreign")
    for _ in range(2):
        with pytest.raises(RedisError, match="wrong kind"):
            snapshots.share(1.0, [order("run")])
    assert server.client.llen(queue_key(POLLS)) == 0


def test_changes_are_news_at_once_and_runs_now_and_then(app: Celery, server: RedisProcess) -> None:
    clock, news = Clock(), []
    snapshots = ScheduleSnapshots(client_of(app), clock)
    snapshots.on_work = lambda: news.append(clock.now)
    for second in range(12):
        clock.now = second
        server.client.hset(RUNS_KEY, "fetch", second)
        if second == 3:
            server.client.incr(VERSION_KEY)
        snapshots.share(1.0)
    assert news == [0, 3, 8]


def test_what_beat_sent_is_news_as_well(app: Celery, server: RedisProcess) -> None:
    clock, news = Clock(), []
    snapshots = ScheduleSnapshots(client_of(app), clock)
    snapshots.on_work = lambda: news.append(clock.now)
    server.client.zadd(settings_of(app).schedule_key, {ENTRY: 4_000_000_000})
    for second in range(0, 30, 10):
        clock.now = second
        sent = "first" if second < 20 else "second"
        server.client.hset(ENTRY, mapping={"definition": "{}", "meta": sent})
        snapshots.share(1.0)
    assert news == [0, 20]


def test_what_others_saw_is_for_them_alone(app: Celery, server: RedisProcess) -> None:
    """Else one who looks each second would look every other time."""
    snapshots = ScheduleSnapshots(client_of(app), Clock())
    assert snapshots.recent().version is None
    server.client.set(VERSION_KEY, 1)
    assert snapshots.recent().version == "1"


def test_without_redis_there_is_nothing_to_see(
    snapshots: ScheduleSnapshots, server: RedisProcess
) -> None:
    server.kill()
    with pytest.raises(RedisError):
        snapshots.look()
    server.start()


def test_values_of_another_type_hide_nothing_else(
    snapshots: ScheduleSnapshots, app: Celery, server: RedisProcess
) -> None:
    server.client.hset("esquirell:redbeat:fetch", mapping={"definition": "all", "meta": "ran"})
    server.client.zadd(settings_of(app).schedule_key, {"esquirell:redbeat:fetch": 1})
    for key in (RUNS_KEY, queue_key(POLLS)):
        server.client.set(key, "text")
    for key in (SEEDED_KEY, VERSION_KEY):
        server.client.rpush(key, "list")
    ours = {"esquirell:redbeat:fetch": "ran"}, {"esquirell:redbeat:fetch": "all"}
    assert snapshots.look() == ScheduleSnapshot(metas=ours[0], due=ours[1])


def test_bytes_that_are_no_text_hide_nothing_else(
    snapshots: ScheduleSnapshots, app: Celery, server: RedisProcess
) -> None:
    server.client.hset("esquirell:redbeat:odd", mapping={"definition": b"\xff", "meta": b"\xfe"})
    server.client.hset("esquirell:redbeat:fetch", mapping={"definition": "all", "meta": "ran"})
    for name in ("odd", "fetch"):
        server.client.zadd(settings_of(app).schedule_key, {f"esquirell:redbeat:{name}": 1})
    server.client.hset(RUNS_KEY, "odd", b"\xfd")
    seen = snapshots.look()
    assert (seen.metas["esquirell:redbeat:fetch"], seen.due["esquirell:redbeat:fetch"]) == (
        "ran",
        "all",
    )
    assert (
        seen.metas.keys() == seen.due.keys() == {"esquirell:redbeat:fetch", "esquirell:redbeat:odd"}
    )


def test_a_change_by_this_process_is_noticed_at_once(app: Celery) -> None:
    snapshots, heard = ScheduleSnapshots(client_of(app), Clock()), []
    snapshots.on_change = lambda: heard.append(1)
    RedBeatTimetable(app, snapshots, "UTC").announce()
    assert heard == [1]


def test_bytes_that_are_no_text_spoil_nothing_else(
    snapshots: ScheduleSnapshots, app: Celery, server: RedisProcess
) -> None:
    server.client.hset(RUNS_KEY, mapping={"fetch": b"\xff\xfe", "backup": "ok"})
    server.client.hset("esquirell:redbeat:fetch", mapping={"definition": b"\xff", "meta": "m"})
    server.client.zadd(settings_of(app).schedule_key, {"esquirell:redbeat:fetch": 1})
    snapshot = snapshots.look()
    assert snapshot.runs == {"fetch": "\ufffd\ufffd", "backup": "ok"}
    assert snapshot.due == {"esquirell:redbeat:fetch": "\ufffd"}
