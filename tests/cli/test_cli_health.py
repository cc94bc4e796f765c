import re
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import sample
from support.redis_server import RedisProcess
from support.tcp_proxy import TcpProxy

from esquirell.broker.connection import Address, connect
from esquirell.broker.processes import ALIVE_S, NAMED_S, PROCESSES, Presence
from esquirell.daemon.lock import RunLock
from esquirell.domain.process import Process
from esquirell.domain.reading import MeterStatus

HERE = socket.gethostname()
SINCE = "2026-11-22T10:15:00.123Z"


@pytest.fixture
def announce(home: Home, server: RedisProcess) -> Iterator[Callable[..., None]]:
    """Let a role be alive on a machine."""
    home.configure(meter(), redis__url=server.url)
    home.store([sample("main")])
    client = connect(Address(server.url))

    def announce(role: str, machine: str, *problems: str) -> None:
        process = Process(machine, (role,), SINCE, problems=problems)
        Presence(client, f"{machine}-{role}").announce(process, [role])

    yield announce
    client.close()


def test_the_roles_of_this_machine(announce: Callable[..., None]) -> None:
    announce("worker", HERE)
    announce("beat", "garage")
    assert esquirell("health") == (0, "worker: working\n", "")


def test_a_role_wherever_it_is(announce: Callable[..., None]) -> None:
    announce("beat", "garage")
    assert esquirell("health", "beat") == (0, "beat: working\n", "")
    said = esquirell("health", "worker")
    assert said.code == 1
    assert said.sentence == "no worker is alive: start esquirell run, or esquirell worker"


def test_nothing_runs_here(announce: Callable[..., None]) -> None:
    announce("worker", f"{HERE}x")
    said = esquirell("health")
    assert said.code == 1
    assert said.sentence == "nothing runs on this machine: start esquirell run"


def test_a_role_without_its_database_does_not_work(
    home: Home, announce: Callable[..., None]
) -> None:
    announce("worker", HERE)
    home.database.write_bytes(b"no database " * 1000)
    said = esquirell("health", "worker")
    assert said.code == 1
    assert "is damaged or not an SQLite file" in said.sentence


def test_a_database_that_has_disappeared_is_named_and_not_created(
    home: Home, announce: Callable[..., None]
) -> None:
    announce("worker", HERE)
    home.database.unlink()
    said = esquirell("health")
    assert said.code == 1
    assert said.sentence.startswith(f"The database {home.database} is gone: mount its disk again")
    assert not home.database.exists()


def test_a_database_that_can_only_be_read_is_not_enough(
    home: Home, announce: Callable[..., None]
) -> None:
    announce("worker", HERE)
    with closing(sqlite3.connect(home.database)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        said = esquirell("health")
    assert said.code == 1
    assert "is locked by another process" in said.sentence
    assert esquirell("health").code == 0
    with closing(sqlite3.connect(home.database)) as reader:
        assert reader.execute("SELECT count(*) FROM command_log").fetchone() == (0,)


def test_what_keeps_a_process_from_its_work_is_said_for_its_role(
    announce: Callable[..., None],
) -> None:
    announce("worker", HERE, "localhost:1883 can't be reached")
    announce("beat", HERE)
    for command in (("health",), ("health", "worker"), ("health", "worker", "--here")):
        said = esquirell(*command)
        assert (said.code, said.sentence) == (1, "localhost:1883 can't be reached")
    assert esquirell("health", "beat").code == 0
    # The same, as another part says it.
    announce(
        "worker", HERE, "localhost:1883 can't be reached", "waits: localhost:1883 can't be reached"
    )
    assert esquirell("health").sentence == "waits: localhost:1883 can't be reached"
    announce("worker", HERE)
    assert esquirell("health").code == 0


def test_meters_that_do_not_answer_are_said_and_no_fault_of_the_service(
    home: Home, announce: Callable[..., None]
) -> None:
    announce("worker", HERE)
    home.store([], {"main": MeterStatus(3, "unreachable"), "removed": MeterStatus(9, "no_data")})
    said = esquirell("health")
    assert (said.code, said.out) == (
        0,
        "worker: working\n1 of 1 meters do not answer: main\n",
    )


def test_a_vanished_role_is_named_until_another_replaces_it(
    announce: Callable[..., None], server: RedisProcess
) -> None:
    announce("worker", HERE)
    announce("worker", "garage")
    server.client.delete("esquirell:role:worker:garage-worker")
    server.client.expire(f"{PROCESSES}garage-worker", NAMED_S - 300)
    said = esquirell("health")
    assert said.code == 0
    assert said.out.endswith("worker on garage disappeared 5 min ago\n")
    shown = esquirell("health", "--json").json["processes"]
    assert [(one["host"], one.get("gone_s", 0) >= 300) for one in shown] == [
        (HERE, False),
        ("garage", True),
    ]
    again = Process("garage", ("worker",), SINCE)
    presence = Presence(server.client, "garage-2")
    presence.announce(again, again.roles)
    assert esquirell("health").out == "worker: working\n"
    presence.withdraw("worker")
    assert [one["host"] for one in esquirell("health", "--json").json["processes"]] == [HERE]


def test_a_service_that_was_stopped_is_not_said_to_be_missing(
    home: Home, announce: Callable[..., None], server: RedisProcess
) -> None:
    announce("worker", HERE)
    server.client.delete(f"esquirell:role:worker:{HERE}-worker")
    server.client.expire(f"{PROCESSES}{HERE}-worker", NAMED_S - 300)
    lock = RunLock(home.database.with_name("esquirell.db.lock"))
    lock.take()
    try:
        lock.note_up()
        said = esquirell("health")
        checked = esquirell("doctor")
    finally:
        lock.release()
    assert said.code == checked.code == 1
    assert "run is alive, but has reported nothing for 30" in said.sentence
    assert "start esquirell" not in said.sentence
    assert "✗ service: esquirell run is alive, but has reported nothing for 30" in checked.out
    assert "waits at its start → its log says what for, else restart it\n" in checked.out


def test_a_service_whose_entries_are_deleted_is_not_said_to_begin(
    home: Home, announce: Callable[..., None], server: RedisProcess
) -> None:
    announce("worker", HERE)
    server.client.flushall()
    lock = RunLock(home.database.with_name("esquirell.db.lock"))
    lock.take()
    try:
        begins = esquirell("health")
        lock.note_up()
        erased = esquirell("health")
        checked = esquirell("doctor")
    finally:
        lock.release()
    assert (begins.code, erased.code) == (1, 1)
    assert "has not begun to work" in begins.sentence
    assert "its entries in Redis are gone: another program deletes them" in erased.sentence
    assert "something deletes its entries in Redis (FLUSHALL)" in checked.out
    assert esquirell("health").sentence.startswith("nothing runs on this machine")


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        ("worker", "no worker is alive: start esquirell run, or esquirell worker"),
        ("beat", "no beat is alive: start esquirell run, or esquirell beat"),
        ("worker@cellar", "no worker serves cellar: its meters are not read"),
    ],
)
def test_the_only_one_of_a_role_that_vanished_here_is_a_fault(
    announce: Callable[..., None], server: RedisProcess, role: str, sentence: str
) -> None:
    announce("bridge", HERE)
    announce(role, HERE)
    assert esquirell("health").code == 0
    server.client.expire(f"{PROCESSES}{HERE}-{role}", NAMED_S - ALIVE_S - 1)
    said = esquirell("health")
    assert (said.code, said.sentence) == (1, sentence)
    assert esquirell("health", "bridge").code == 0
    announce(role, "garage")
    assert esquirell("health").code == 0


@pytest.mark.parametrize(("role", "host"), [("worker", "garage"), ("web", HERE)])
def test_what_vanished_elsewhere_or_can_be_missed_is_only_named(
    announce: Callable[..., None], server: RedisProcess, role: str, host: str
) -> None:
    announce("bridge", HERE)
    announce(role, host)
    server.client.expire(f"{PROCESSES}{host}-{role}", NAMED_S - ALIVE_S - 1)
    said = esquirell("health")
    assert said == (0, f"bridge: working\n{role} on {host} disappeared 0 min ago\n", "")


@pytest.mark.parametrize(
    ("role", "remedy"),
    [
        ("worker", "start esquirell run, or esquirell worker"),
        ("flower", "start esquirell flower"),
        ("web", "start esquirell web (esquirell run serves the page by itself)"),
    ],
)
def test_a_missing_role_is_named_with_what_starts_it(
    announce: Callable[..., None], role: str, remedy: str
) -> None:
    announce("bridge", HERE)
    assert esquirell("health", role).sentence == f"no {role} is alive: {remedy}"


def test_json_is_what_the_bridge_publishes(announce: Callable[..., None]) -> None:
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


def test_a_slow_redis_is_named_and_asked_little(
    home: Home, announce: Callable[..., None], server: RedisProcess
) -> None:
    announce("worker", HERE)
    with TcpProxy(server.port, late_s=0.6) as line:
        home.configure(meter(), redis__url=f"redis://127.0.0.1:{line.port}/0")
        said = esquirell("health")
        asked = line.asked
        told = esquirell("health", "--json").json["redis"]
    assert said.code == 0
    slow = r"Redis takes \d+\.\d s to answer: polls are late; check the way to redis\.url"
    assert re.fullmatch(rf"worker: working\n{slow}\n", said.out)
    assert re.fullmatch(slow, told["slow"])
    # To introduce itself, to test what is needed and find the processes, and to read them.
    assert asked == 3


def test_before_the_first_start_no_database_is_missing(home: Home) -> None:
    home.configure(meter())
    said = esquirell("health")
    assert said.code == 1
    assert said.sentence.startswith("Redis does not answer")
    assert str(home.database.parent) not in said.sentence


def test_a_redis_that_refuses_is_named_in_its_own_words(
    announce: Callable[..., None], server: RedisProcess
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
    folder = home.database.parent
    nothing = "nothing runs on this machine: start esquirell run"
    assert said.sentence == f"there is no {folder}, and {nothing}"
    folder.mkdir()
    assert esquirell("health").sentence == nothing


def test_an_unknown_role(home: Home) -> None:
    home.configure(meter())
    assert esquirell("health", "butler").code == 2
