"""Each fault, injected for real, under twenty meters that are read every second.

The simulated meters count their answers. Whatever happens, each answer ends up in the database
once; only those that a process held in its hands when it was killed may be missing.
"""

import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.db_damage import damage
from support.db_postgres import PostgresServer
from support.fault_bench import LIMIT_S, METERS, Bench, Fault, Result, check
from support.waiting import eventually

APART = ("beat", "worker", "bridge")
OUTAGE_S = 30.0


def nothing(bench: Bench) -> None:
    bench.steady(20)


def kill_redis(bench: Bench) -> None:
    bench.redis.kill()
    bench.steady(10)
    bench.redis.start()


def flush_redis(bench: Bench) -> None:
    bench.redis.client.flushall()


def freeze_redis(bench: Bench) -> None:
    bench.redis.freeze()
    bench.steady(OUTAGE_S)
    bench.redis.thaw()


def kill_broker(bench: Bench) -> None:
    bench.broker.kill()
    bench.steady(10)
    bench.broker.start()


def freeze_service(bench: Bench) -> None:
    bench.send("run", signal.SIGSTOP)
    bench.steady(OUTAGE_S)
    bench.send("run", signal.SIGCONT)


def lock_database(bench: Bench) -> None:
    with closing(sqlite3.connect(bench.folder / "data" / "esquirell.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        bench.steady(OUTAGE_S)
        connection.rollback()


def kill_run(bench: Bench) -> None:
    for _ in range(3):
        bench.restart("run")
        bench.grows()


def all_servers(bench: Bench) -> None:
    bench.redis.kill()
    bench.broker.kill()
    bench.steady(10)
    bench.broker.start()
    bench.redis.start()


IN_ONE: dict[str, tuple[Fault, int]] = {
    "none": (nothing, 0),
    "kill -9 of `run`, three times": (kill_run, 3 * METERS),
    "kill -9 of Redis, back after 10 s": (kill_redis, 0),
    "FLUSHALL in Redis": (flush_redis, 0),
    "Redis stopped (SIGSTOP) for 30 s": (freeze_redis, 0),
    "kill -9 of mosquitto, back after 10 s": (kill_broker, 0),
    "kill -9 of Redis and mosquitto, back after 10 s": (all_servers, 0),
    "`run` stopped (SIGSTOP) for 30 s": (freeze_service, METERS),
    "SQLite locked by another program for 30 s": (lock_database, 0),
}


@pytest.mark.parametrize("fault", IN_ONE)
def test_one_process(fault: str, tmp_path: Path, results: list[Result]) -> None:
    inject, may_miss = IN_ONE[fault]
    with Bench(tmp_path) as bench:
        results.append(check(bench, fault, inject, may_miss))


@pytest.mark.parametrize("role", APART)
def test_roles_apart(role: str, tmp_path: Path, results: list[Result]) -> None:
    may_miss = METERS if role == "worker" else 0

    def inject(bench: Bench) -> None:
        service = bench.services[role]
        bench.restart(role)
        # It stands by until the lease of the one that was killed is over.
        eventually(lambda: service.log.count("up as") == 2, LIMIT_S)

    with Bench(tmp_path, APART) as bench:
        results.append(check(bench, f"kill -9 of `{role}`", inject, may_miss))


def test_a_damaged_database(tmp_path: Path, results: list[Result]) -> None:
    data = tmp_path / "data"
    with Bench(tmp_path) as bench:
        bench.steady(20)
        damage(data / "esquirell.db")
        eventually(lambda: list(data.glob("esquirell.db.damaged-*")), LIMIT_S)
        # What was stored before lies in the file set aside.
        before = bench.taken
        bench.grows()
        bench.steady()
        found = bench.finish("SQLite file overwritten, counted from its replacement")
        taken = found.taken - before
        # Those that waited for the new file come on top.
        results.append(replace(found, taken=taken, stored=min(found.stored, taken)))
        assert found.stored >= found.taken - before


def test_postgresql_killed(tmp_path: Path, postgres: PostgresServer, results: list[Result]) -> None:
    url = postgres.url(postgres.new_database())
    with Bench(tmp_path, database_url=url) as bench:
        results.append(
            check(
                bench,
                "kill -9 of PostgreSQL, back after 15 s",
                lambda bench: away(bench, postgres),
                0,
            )
        )


def test_postgresql_away_and_the_service_killed(
    tmp_path: Path, postgres: PostgresServer, results: list[Result]
) -> None:
    def inject(bench: Bench) -> None:
        postgres.kill()
        bench.steady(10)
        bench.restart("run", after_s=0.5)
        bench.steady(5)
        postgres.start_again()

    url = postgres.url(postgres.new_database())
    with Bench(tmp_path, database_url=url) as bench:
        fault = "PostgreSQL away for 15 s, kill -9 of `run` meanwhile"
        results.append(check(bench, fault, inject, METERS))


def away(bench: Bench, postgres: PostgresServer) -> None:
    postgres.kill()
    bench.steady(15)
    postgres.start_again()


@contextmanager
def small_disk(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a small file system, which only root may."""
    folder.mkdir()
    command = ["/bin/mount", "-t", "tmpfs", "-o", ",".join(options), "esquirell", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on a disk; return the file to remove."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return filler


def full(bench: Bench, disk: Path) -> None:
    filler = fill(disk)
    bench.steady(20)
    filler.unlink()


def full_at_a_start(bench: Bench, disk: Path) -> None:
    filler = fill(disk)
    bench.restart("run")
    # What the service had kept free lasts for a while: others take that, too.
    fill(disk)
    bench.named("full")
    bench.steady(20)
    filler.unlink()


FULL: dict[str, tuple[Callable[[Bench, Path], None], int]] = {
    "disk full for 20 s": (full, 0),
    "disk full for 20 s, kill -9 of `run` meanwhile": (full_at_a_start, METERS),
}


@pytest.mark.parametrize("fault", FULL)
def test_a_full_disk(fault: str, tmp_path: Path, results: list[Result]) -> None:
    inject, may_miss = FULL[fault]
    with (
        small_disk(tmp_path / "disk", "size=24m") as disk,
        Bench(tmp_path, state_dir=disk) as bench,
    ):
        results.append(check(bench, fault, lambda bench: inject(bench, disk), may_miss))


def test_a_disk_without_inodes(tmp_path: Path, results: list[Result]) -> None:
    """No file can be made any more, though there is space."""

    def inject(bench: Bench) -> None:
        number = 0
        try:
            while True:
                number += 1
                (disk / f"empty-{number}").touch()
        except OSError:
            pass
        bench.redis.kill()
        bench.redis.start()
        bench.steady(20)
        for file in disk.glob("empty-*"):
            file.unlink()

    options = ("size=24m", "nr_inodes=60")
    with small_disk(tmp_path / "disk", *options) as disk, Bench(tmp_path, state_dir=disk) as bench:
        results.append(check(bench, "disk without inodes for 20 s, and Redis restarts", inject, 0))
