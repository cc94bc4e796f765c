"""A long run: twenty meters every second, a fault at random every minute, nothing lost."""

import os
import random
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.db_postgres import PostgresServer
from support.fault_bench import METERS, STEADY_S, Bench, Fault, Result, own_mib, preloaded

MINUTES = int(os.environ.get("SOAK_MINUTES", "0"))
DATABASE = os.environ.get("SOAK_DATABASE", "sqlite")
SEED = int(os.environ.get("SOAK_SEED", "1"))
# Memory is compared with what it was after a quarter of an hour: until then caches fill.
SETTLED_AFTER = 15
GROWTH_MIB = 2.0


def redis_gone(bench: Bench) -> None:
    bench.redis.kill()
    bench.steady(STEADY_S)
    bench.redis.start()


def redis_flushed(bench: Bench) -> None:
    bench.redis.client.flushall()


def redis_read_only(bench: Bench) -> None:
    bench.redis.client.replicaof("127.0.0.1", "1")
    bench.steady(STEADY_S)
    bench.redis.client.replicaof("NO", "ONE")


def broker_gone(bench: Bench) -> None:
    bench.broker.kill()
    bench.steady(STEADY_S)
    bench.broker.start()


def broker_frozen(bench: Bench) -> None:
    bench.broker.freeze()
    bench.steady(STEADY_S)
    bench.broker.thaw()


def service_frozen(bench: Bench) -> None:
    bench.send("run", signal.SIGSTOP)
    bench.steady(STEADY_S)
    bench.send("run", signal.SIGCONT)


FAULTS: tuple[Fault, ...] = (
    redis_gone,
    redis_flushed,
    redis_read_only,
    broker_gone,
    broker_frozen,
    service_frozen,
)


def sqlite_locked(bench: Bench) -> None:
    with closing(sqlite3.connect(bench.folder / "data" / "esquirell.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        bench.steady(STEADY_S)
        connection.rollback()


def directory_gone(bench: Bench) -> None:
    """Take the state directory away and put it back, as a disk that is unmounted."""
    (bench.folder / "data").rename(bench.folder / "aside")
    bench.steady(STEADY_S)
    (bench.folder / "aside").rename(bench.folder / "data")


def disk_hangs(bench: Bench) -> None:
    """Confirm no write for longer than a watchdog would wait."""
    hangs = bench.folder / "hangs"
    hangs.touch()
    bench.steady(75)
    hangs.unlink()


SQLITE_FAULTS: tuple[Fault, ...] = (sqlite_locked, directory_gone, disk_hangs)


def postgres_faults(server: PostgresServer, name: str) -> tuple[Fault, ...]:
    """Return what happens to one database of a server."""

    def postgres_frozen(bench: Bench) -> None:
        stopped = server.processes()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        bench.steady(STEADY_S)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    def postgres_cut(_bench: Bench) -> None:
        server.cut_connections(name)

    def postgres_read_only(bench: Bench) -> None:
        server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        server.cut_connections(name)
        bench.steady(STEADY_S)
        server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        server.cut_connections(name)

    return postgres_frozen, postgres_cut, postgres_read_only


@pytest.mark.skipif(not MINUTES or DATABASE != "sqlite", reason="takes half an hour: make soak")
@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_soak(tmp_path: Path, results: list[Result]) -> None:
    environment = preloaded(tmp_path, "hung_disk") | {"HUNG_DISK_FILE": str(tmp_path / "hangs")}
    soak(Bench(tmp_path, environment=environment), (*FAULTS, *SQLITE_FAULTS), results, "SQLite")


@pytest.mark.skipif(
    not MINUTES or DATABASE == "sqlite", reason="SOAK_DATABASE=postgresql make soak"
)
def test_soak_with_postgresql(
    tmp_path: Path, postgres: PostgresServer, results: list[Result]
) -> None:
    name = postgres.new_database()
    faults = (*FAULTS, *postgres_faults(postgres, name))
    soak(Bench(tmp_path, database_url=postgres.url(name)), faults, results, "PostgreSQL")


def soak(bench: Bench, faults: tuple[Fault, ...], results: list[Result], database: str) -> None:
    """Run for `MINUTES`, with a fault at random in each; nothing may be lost, memory stays."""
    chance = random.Random(SEED)
    memory: list[float] = []
    left: list[Fault] = []
    with bench:
        for minute in range(MINUTES):
            # In each round every fault comes once, in another order.
            left = left or chance.sample(faults, len(faults))
            fault = left.pop()
            fault(bench)
            bench.grows()
            bench.steady(60 - STEADY_S)
            memory.append(own_mib(bench.process_id))
            print(  # noqa: T201 - half an hour without a word is too long
                f"minute {minute + 1}: {fault.__name__}, {memory[-1]:.1f} MiB, {bench.taken} taken"
            )
        result = bench.finish(f"soak with {database}, {MINUTES} minutes, seed {SEED}")
        results.append(result)
        assert result.taken == result.stored
        assert result.taken > MINUTES * 30 * METERS
    settled = memory[SETTLED_AFTER:]
    if len(settled) > 1:
        assert max(settled) - settled[0] <= GROWTH_MIB, memory
