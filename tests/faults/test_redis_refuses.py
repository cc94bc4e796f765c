"""A Redis that answers, and refuses: each way that a real one has."""

import shutil
import threading
from pathlib import Path

import pytest
from support.fault_bench import Bench, Outage, Result, endure, looped_s
from support.tcp_proxy import TcpProxy


def _ask(bench: Bench, *words: str) -> None:
    # redis-py has no types here.
    bench.redis.client.execute_command(*words)  # type: ignore[no-untyped-call]


def read_only(bench: Bench) -> None:
    bench.redis.client.replicaof("127.0.0.1", "1")


def writable(bench: Bench) -> None:
    bench.redis.client.replicaof("NO", "ONE")


def unable_to_save(bench: Bench) -> None:
    """Have a snapshot fail, as on a full disk: Redis then refuses to write."""
    folder = bench.folder / "rdb"
    folder.mkdir()
    bench.redis.client.config_set("dir", str(folder))
    shutil.rmtree(folder)
    bench.redis.client.config_set("save", "1 1")


def able_to_save(bench: Bench) -> None:
    bench.redis.client.config_set("save", "")
    bench.redis.client.config_set("dir", str(bench.folder))
    bench.redis.client.bgsave()


def alone(bench: Bench) -> None:
    bench.redis.client.config_set("min-replicas-to-write", "1")


def enough(bench: Bench) -> None:
    bench.redis.client.config_set("min-replicas-to-write", "0")


def without_rights(bench: Bench) -> None:
    bench.redis.client.acl_setuser(
        "default",
        enabled=True,
        nopass=True,
        categories=["+@all", "-@write"],
        keys=["*"],
        channels=["*"],
    )
    bench.redis.client.connection_pool.disconnect()


def with_rights(bench: Bench) -> None:
    _ask(bench, "ACL", "SETUSER", "default", "+@all")


def without_a_command(bench: Bench) -> None:
    """Forbid a command that schedules need, and that no test of Redis tries."""
    _ask(bench, "ACL", "SETUSER", "default", "-zadd")


def locked(bench: Bench) -> None:
    bench.redis.client.config_set("requirepass", "another")
    _ask(bench, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def unlocked(bench: Bench) -> None:
    _ask(bench, "AUTH", "default", "another")
    bench.redis.client.config_set("requirepass", "")


def paused(bench: Bench) -> None:
    _ask(bench, "CLIENT", "PAUSE", "20000", "WRITE")


def filled(bench: Bench) -> None:
    client = bench.redis.client
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def emptied(bench: Bench) -> None:
    bench.redis.client.config_set("maxmemory", "0")


def garbled(bench: Bench) -> None:
    """Put values of other kinds, and no text at all, in place of every entry."""
    client = bench.redis.client
    for key in list(client.scan_iter()):
        kind = client.type(key)
        client.delete(key)
        if kind == "string":
            client.rpush(key, "x")
        else:
            client.set(key, b"\xff\x00garbled")


def foreign_messages(bench: Bench) -> None:
    """Put what is no message into each list that Celery reads."""
    for queue in [*bench.redis.client.scan_iter(match="*polls*"), "polls", "commands", "celery"]:
        if bench.redis.client.type(queue) in {"none", "list"}:
            for body in ("{", "[]", '{"body": 1}', "null", '{"properties": {}, "headers": {}}'):
                bench.redis.client.rpush(queue, body)


def storm(bench: Bench) -> None:
    """Cut every connection, five times a second."""
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.2):
            _ask(bench, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    bench.steady(looped_s(15))
    stop.set()
    thread.join()


def erased(bench: Bench) -> None:
    """Empty Redis each second, as a careless program that shares it."""
    stop = threading.Event()

    def erase() -> None:
        while not stop.wait(1.0):
            bench.redis.client.flushall()

    thread = threading.Thread(target=erase, daemon=True)
    thread.start()
    bench.named("its entries in Redis are gone")
    bench.steady(looped_s(10))
    stop.set()
    thread.join()


REFUSALS = {
    "FLUSHALL in Redis, each second": Outage(erased, lasts_s=10),
    "Redis read-only, as after a switch-over": Outage(read_only, writable, "read.?only"),
    "Redis wants a replica before it writes": Outage(alone, enough, "replicas"),
    "Redis out of memory": Outage(filled, emptied, "memory"),
    "Redis unable to save": Outage(unable_to_save, able_to_save, "MISCONF|snapshot"),
    "Redis forbids writing (ACL)": Outage(without_rights, with_rights, "permission"),
    "Redis forbids a single command (ACL)": Outage(
        without_a_command, with_rights, "can't run this command|no permissions"
    ),
    "Redis wants another password": Outage(locked, unlocked, "password|auth"),
    "Redis holds up all writes": Outage(paused, says="Redis|time"),
    "every entry in Redis garbled": Outage(garbled, lasts_s=5),
    "foreign messages in the queues": Outage(foreign_messages, lasts_s=5),
    "connections to Redis cut, five times a second": Outage(storm, lasts_s=15),
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_redis_refuses(fault: str, tmp_path: Path, results: list[Result]) -> None:
    with Bench(tmp_path) as bench:
        results.append(endure(bench, fault, REFUSALS[fault]))


def test_packets_to_redis_are_dropped(tmp_path: Path, results: list[Result]) -> None:
    with TcpProxy() as proxy:
        outage = Outage(lambda _: proxy.hole(), lambda _: proxy.mend(), "Redis", lasts_s=30)
        results.append(_over(proxy, tmp_path, "packets to Redis dropped for 30 s", outage))


def test_connections_to_redis_are_forgotten(tmp_path: Path, results: list[Result]) -> None:
    """By a router, for which they were idle too long; a new connection works."""
    with TcpProxy() as proxy:
        outage = Outage(lambda _: proxy.forget(), lasts_s=20, pause_s=25)
        results.append(_over(proxy, tmp_path, "connections to Redis forgotten by a router", outage))


def _over(proxy: TcpProxy, folder: Path, name: str, outage: Outage) -> Result:
    bench = Bench(folder)

    def prepared(bench: Bench) -> None:
        proxy.target = bench.redis.port
        bench.redis_url = f"redis://127.0.0.1:{proxy.port}/0"

    bench.prepared = prepared
    with bench:
        return endure(bench, name, outage)
