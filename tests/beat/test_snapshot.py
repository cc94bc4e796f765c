import pytest
from celery import Celery
from support.redis_server import RedisProcess

from esquirell.beat.redbeat import client_of, settings_of
from esquirell.beat.snapshot import (
    RUNS_KEY,
    SEEDED_KEY,
    VERSION_KEY,
    ScheduleSnapshot,
    ScheduleSnapshots,
)
from esquirell.broker.connection import RedisError
from esquirell.broker.queue import POLLS, queue_key


@pytest.fixture
def snapshots(app: Celery) -> ScheduleSnapshots:
    return ScheduleSnapshots(client_of(app))


def test_of_an_empty_redis_there_is_nothing_to_see(snapshots: ScheduleSnapshots) -> None:
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


def test_what_beat_saw_is_not_asked_for_again_for_a_second(
    app: Celery, server: RedisProcess
) -> None:
    clock = Clock()
    snapshots = ScheduleSnapshots(client_of(app), clock)
    seen = snapshots.share(1.0)
    server.client.set(VERSION_KEY, 2)
    clock.now += 1.0
    assert snapshots.recent() is seen
    clock.now += 1.0
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


def test_changes_are_news_at_once_and_runs_now_and_then(app: Celery, server: RedisProcess) -> None:
    clock, news = Clock(), []
    snapshots = ScheduleSnapshots(client_of(app), clock)
    snapshots.on_news = lambda: news.append(clock.now)
    for second in range(12):
        clock.now = second
        server.client.hset(RUNS_KEY, "fetch", second)
        if second == 3:
            server.client.incr(VERSION_KEY)
        snapshots.share(1.0)
    assert news == [0, 3, 8]


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
