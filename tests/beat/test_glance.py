import pytest
from celery import Celery
from support.redis_server import RedisProcess

from esquirell.beat.glance import RUNS_KEY, SEEDED_KEY, VERSION_KEY, Glance, Glances
from esquirell.beat.queue import POLLS
from esquirell.beat.redbeat import settings_of
from esquirell.beat.redis import RedisError


@pytest.fixture
def glances(app: Celery) -> Glances:
    return Glances(app)


def test_of_an_empty_redis_there_is_nothing_to_see(glances: Glances) -> None:
    assert glances.look() == Glance()


def test_all_is_seen_at_once(glances: Glances, app: Celery, server: RedisProcess) -> None:
    server.client.set(SEEDED_KEY, "digest")
    server.client.set(VERSION_KEY, 3)
    server.client.hset(RUNS_KEY, mapping={"fetch": "ok", "backup": "error"})
    server.client.rpush(POLLS, "one", "two")
    for name, due in (("soon", 1), ("later", 4_000_000_000), ("never", -1)):
        server.client.hset(f"redbeat:{name}", mapping={"definition": name, "meta": f"{name} ran"})
        server.client.zadd(settings_of(app).schedule_key, {f"redbeat:{name}": due})
    assert glances.look() == Glance(
        seeded="digest",
        version="3",
        runs={"fetch": "ok", "backup": "error"},
        waiting=2,
        metas={f"redbeat:{name}": f"{name} ran" for name in ("soon", "later", "never")},
        due={"redbeat:soon": "soon"},
    )


@pytest.mark.parametrize("found", [None, "text"])
def test_a_due_entry_without_a_definition_is_seen_as_empty(
    glances: Glances, app: Celery, server: RedisProcess, found: str | None
) -> None:
    server.client.zadd(settings_of(app).schedule_key, {"redbeat:fetch": 1})
    if found:
        server.client.set("redbeat:fetch", found)
    glance = glances.look()
    assert (glance.metas, glance.due) == ({"redbeat:fetch": None}, {"redbeat:fetch": ""})


def test_what_was_just_seen_is_not_asked_for_again(glances: Glances, server: RedisProcess) -> None:
    seen = glances.look()
    server.kill()
    assert glances.recent() is seen
    with pytest.raises(RedisError):
        glances.look()
    server.start()


def test_nothing_seen_yet_is_looked_for(glances: Glances, server: RedisProcess) -> None:
    server.client.set(VERSION_KEY, 1)
    assert glances.recent().version == "1"
