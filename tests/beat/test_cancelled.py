"""Which tasks are not to be run, as workers that start later learn it."""

import time
from collections.abc import Iterator

import pytest
from support.ports import free_port
from support.redis_server import RedisProcess

from esquirell.beat.cancelled import KEPT_S, KEY, Cancelled
from esquirell.beat.redis import Address, Client, connect
from esquirell.domain.errors import UnavailableError


@pytest.fixture
def client(server: RedisProcess) -> Iterator[Client]:
    client = connect(Address(server.url))
    yield client
    client.close()


def test_it_is_remembered_once_however_many_workers_tell_it(client: Client) -> None:
    for task_id in ("a", "b", "a"):
        Cancelled(client).add(task_id)
    assert sorted(Cancelled(client).ids()) == ["a", "b"]


def test_what_is_old_is_forgotten(client: Client) -> None:
    client.zadd(KEY, {"old": time.time() - KEPT_S - 1})
    assert Cancelled(client).ids() == []
    Cancelled(client).add("new")
    assert client.zcard(KEY) == 1
    assert 0 < int(client.ttl(KEY)) <= KEPT_S


def test_without_redis_one_error_says_so() -> None:
    away = Cancelled(connect(Address(f"redis://127.0.0.1:{free_port()}/0")))
    with pytest.raises(UnavailableError, match="Redis does not answer"):
        away.add("a")
    with pytest.raises(UnavailableError):
        away.ids()
