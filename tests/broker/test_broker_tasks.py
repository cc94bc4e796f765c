"""Which tasks are not to be run, as workers that start later learn it."""

import time

import pytest
from support.ports import free_port

from esquirell.broker.connection import Address, Client, connect
from esquirell.broker.tasks import REVOKED, REVOKED_FOR_S, RevokedTasks
from esquirell.domain.errors import UnavailableError


def test_a_cancellation_reported_by_many_workers_is_stored_once(client: Client) -> None:
    for task_id in ("a", "b", "a"):
        RevokedTasks(client).add(task_id)
    assert sorted(RevokedTasks(client).ids()) == ["a", "b"]


def test_old_entries_are_forgotten(client: Client) -> None:
    client.zadd(REVOKED, {"old": time.time() - REVOKED_FOR_S - 1})
    assert RevokedTasks(client).ids() == []
    RevokedTasks(client).add("new")
    assert client.zcard(REVOKED) == 1
    assert 0 < int(client.ttl(REVOKED)) <= REVOKED_FOR_S


def test_without_redis_one_error_says_so() -> None:
    away = RevokedTasks(connect(Address(f"redis://127.0.0.1:{free_port()}/0")))
    with pytest.raises(UnavailableError, match="Redis does not answer"):
        away.add("a")
    with pytest.raises(UnavailableError):
        away.ids()
