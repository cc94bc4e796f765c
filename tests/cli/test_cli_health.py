import socket
import time
from collections.abc import Callable, Iterator

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import sample
from support.redis_server import RedisProcess

from esquirell.broker.connection import Address, connect
from esquirell.broker.presence import Presence

HERE = socket.gethostname()
SINCE = "2026-11-22T10:15:00.123Z"


@pytest.fixture
def announce(home: Home, server: RedisProcess) -> Iterator[Callable[[str, str], None]]:
    """Let a role be alive on a machine."""
    home.configure(meter(), redis__url=server.url)
    home.store([sample("main")])
    client = connect(Address(server.url))
    yield lambda role, machine: Presence(client, f"{machine}-1").announce(role, SINCE)
    client.close()


def test_the_roles_of_this_machine(announce: Callable[[str, str], None]) -> None:
    announce("worker", HERE)
    announce("beat", "garage")
    assert esquirell("health") == (0, "worker: working\n", "")


def test_a_role_wherever_it_is(announce: Callable[[str, str], None]) -> None:
    announce("beat", "garage")
    assert esquirell("health", "beat") == (0, "beat: working\n", "")
    said = esquirell("health", "worker")
    assert said.code == 1
    assert said.sentence == "no worker is alive: start esquirell run, or esquirell worker"


def test_nothing_runs_here(announce: Callable[[str, str], None]) -> None:
    announce("worker", f"{HERE}x")
    said = esquirell("health")
    assert said.code == 1
    assert said.sentence == "nothing runs on this machine: start esquirell run"


def test_a_role_without_its_database_does_not_work(
    home: Home, announce: Callable[[str, str], None]
) -> None:
    announce("worker", HERE)
    home.database.write_bytes(b"no database " * 1000)
    said = esquirell("health", "worker")
    assert said.code == 1
    assert "is damaged or no SQLite file" in said.sentence


def test_json_is_what_the_bridge_publishes(announce: Callable[[str, str], None]) -> None:
    for role in ("worker", "beat", "bridge"):
        announce(role, HERE)
    said = esquirell("health", "--json")
    assert said.code == 0
    assert said.json["healthy"] is True
    assert said.json["roles"]["beat"] == {"alive": True, "since": SINCE}
    assert said.json["queue"] == {"length": 0, "oldest_s": 0}
    assert said.json["meters"]["main"] == {"last_success": SINCE, "failures": 0, "reason": None}


def test_without_redis_it_fails_at_once(home: Home) -> None:
    home.configure(meter())
    home.store()
    began = time.monotonic()
    said = esquirell("health", "worker")
    assert said.code == 1
    assert said.sentence.startswith("Redis does not answer (Error 111 connecting to ")
    assert said.sentence.endswith("Connection refused): check redis.url")
    assert time.monotonic() - began < 5
    told = esquirell("health", "--json")
    assert (told.code, told.json["healthy"]) == (1, False)


def test_a_redis_that_refuses_is_named_in_its_own_words(
    announce: Callable[[str, str], None], server: RedisProcess
) -> None:
    announce("worker", HERE)
    server.client.replicaof("127.0.0.1", "1")
    said = esquirell("health", "worker")
    assert said.code == 1
    assert said.sentence.startswith("Redis refuses: ")
    assert "read only replica" in said.sentence
    told = esquirell("health", "--json").json
    assert (told["healthy"], told["redis"]["ok"]) == (False, False)
    server.client.replicaof("NO", "ONE")
    assert esquirell("health", "worker").code == 0


def test_the_redis_of_a_service_that_does_not_run_is_no_fault_of_its_own(home: Home) -> None:
    home.configure(meter(), redis__url="embedded")
    said = esquirell("health")
    assert said.code == 1
    assert said.sentence == "nothing runs on this machine: start esquirell run"


def test_an_unknown_role(home: Home) -> None:
    home.configure(meter())
    assert esquirell("health", "butler").code == 2
