"""A database that refuses, is full of other clients, or whose files are gone."""

import fcntl
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest
from support.db_postgres import PASSWORD, PostgresServer
from support.fault_bench import METERS, Bench, Fault, Outage, Result, endure, looped_s, preloaded
from support.tcp_proxy import TcpProxy

# A database that is unreachable delays no poll: on a busy machine each second is not kept.
PAUSE_S = 6.0

FILES = ("esquirell.db", "esquirell.db-wal", "esquirell.db-shm")


def moved(bench: Bench, source: Path, target: Path) -> None:
    for name in FILES:
        if (source / name).exists():
            (source / name).rename(target / name)
    del bench


def file_gone(bench: Bench) -> None:
    (bench.folder / "aside").mkdir()
    moved(bench, bench.folder / "data", bench.folder / "aside")


def file_back(bench: Bench) -> None:
    moved(bench, bench.folder / "aside", bench.folder / "data")


def folder_gone(bench: Bench) -> None:
    """Take the whole state directory away, as a disk that is unmounted."""
    (bench.folder / "data").rename(bench.folder / "data-aside")


def folder_back(bench: Bench) -> None:
    shutil.rmtree(bench.folder / "data", ignore_errors=True)
    (bench.folder / "data-aside").rename(bench.folder / "data")


def readers(bench: Bench) -> None:
    """Keep thirty readers in the middle of a read, so that the log can't shrink."""
    connections = []
    for _ in range(30):
        connection = sqlite3.connect(bench.folder / "data" / "esquirell.db")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM reading").fetchone()
        connections.append(connection)
    bench.steady(20)
    for connection in connections:
        connection.close()


def locked_for(seconds: float) -> Fault:
    """Build a fault: another program writes for so long."""

    def lock(bench: Bench) -> None:
        with closing(sqlite3.connect(bench.folder / "data" / "esquirell.db")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            bench.named("is locked by another process")
            bench.steady(seconds)
            connection.rollback()

    return lock


def log_deleted(bench: Bench) -> None:
    """Delete the log of the database and its index, as a cleaner does, and cut the power."""
    for name in FILES[1:]:
        (bench.folder / "data" / name).unlink()
    bench.steady(5)
    bench.restart("run")


def execute(bench: Bench, *statements: str) -> None:
    """Do something to the database of the service, as its owner may."""
    with closing(sqlite3.connect(bench.folder / "data" / "esquirell.db", timeout=30)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def refusing(bench: Bench) -> None:
    """Have a rule of the owner's refuse every reading."""
    refuse = "SELECT RAISE(ABORT, 'no rows today')"
    execute(bench, f"CREATE TRIGGER refusal BEFORE INSERT ON reading BEGIN {refuse}; END")


def taking(bench: Bench) -> None:
    execute(bench, "DROP TRIGGER refusal")


def without_schedules(bench: Bench) -> None:
    """Empty their table: within half a minute those of the configuration count again."""
    execute(bench, "DELETE FROM schedule")


SQLITE = {
    "SQLite refuses every reading (a trigger)": Outage(
        refusing, taking, "no rows today", pause_s=PAUSE_S
    ),
    "table of schedules emptied": Outage(without_schedules, lasts_s=40),
    "log of SQLite deleted, kill -9 of `run` after 5 s": Outage(log_deleted, may_miss=METERS),
    "SQLite locked by another program for 100 s": Outage(locked_for(100), pause_s=PAUSE_S),
    "SQLite file taken away and put back": Outage(file_gone, file_back, "database|esquirell.db"),
    "state directory taken away and put back": Outage(folder_gone, folder_back, "data"),
    "thirty readers in the middle of a read": Outage(readers, lasts_s=20),
}


@pytest.mark.parametrize("fault", SQLITE)
def test_sqlite(fault: str, tmp_path: Path, results: list[Result]) -> None:
    with Bench(tmp_path) as bench:
        results.append(endure(bench, fault, SQLITE[fault]))


def another_disk(bench: Bench) -> None:
    """Mount an empty disk where the state directory is."""
    options = ("-t", "tmpfs", "-o", "size=20m", "esquirell", str(bench.folder / "data"))
    if subprocess.run(["/bin/mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")


def test_another_disk_over_the_state_directory(tmp_path: Path, results: list[Result]) -> None:
    """What is written to it would be out of reach when the right one is back."""
    data = tmp_path / "data"
    found: list[Path] = []

    def right_disk(_bench: Bench) -> None:
        found.extend(data.iterdir())
        unmount(data)

    outage = Outage(another_disk, right_disk, "data is gone: mount its disk", pause_s=PAUSE_S)
    with Bench(tmp_path) as bench:
        try:
            results.append(endure(bench, "another disk mounted over the state directory", outage))
        finally:
            unmount(data)
    assert found == []


# linux/ext4.h: what a disk that is pulled out does to its file system. The journal is lost.
EXT4_SHUTDOWN, WITHOUT_JOURNAL = 0x8004587D, struct.pack("I", 2)


def mounted(image: Path, folder: Path) -> bool:
    """Mount the image of a disk, which only root may."""
    command = ["/bin/mount", "-o", "loop", str(image), str(folder)]
    return not subprocess.run(command, check=False, capture_output=True).returncode


def test_a_disk_that_is_pulled_out(tmp_path: Path, results: list[Result]) -> None:
    """Plugged in again it has another number, and the same files."""
    image, again, data = tmp_path / "image", tmp_path / "again", tmp_path / "data"
    data.mkdir()
    with image.open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    make = shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if make is None or subprocess.run([make, "-q", str(image)], check=False).returncode:
        pytest.skip("there is no mkfs.ext4")
    if not mounted(image, data):
        pytest.skip("only root may mount a disk")

    def pulled_out(_bench: Bench) -> None:
        folder = os.open(data, os.O_RDONLY)
        fcntl.ioctl(folder, EXT4_SHUTDOWN, WITHOUT_JOURNAL)
        os.close(folder)

    def plugged_in(_bench: Bench) -> None:
        unmount(data)
        shutil.copyfile(image, again)
        assert mounted(again, data)

    outage = Outage(pulled_out, plugged_in, "check its directory and its disk", pause_s=PAUSE_S)
    try:
        with Bench(tmp_path) as bench:
            # As long as a disk takes by itself to write what was given to it.
            bench.steady(20)
            results.append(endure(bench, "disk pulled out, and plugged in again", outage))
    finally:
        unmount(data)
        unmount(data)


def unmount(folder: Path) -> None:
    """Unmount a disk, also one that is in use."""
    subprocess.run(["/bin/umount", "--lazy", str(folder)], check=False, capture_output=True)


class Postgres:
    """What can be wrong with one PostgreSQL server."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = server.new_database()

    def setting(self, name: str, value: str) -> Fault:
        """Build a fault: a setting changes, and every connection is rebuilt."""

        def change(_bench: Bench) -> None:
            verb = f"SET {name} = {value}" if value else f"RESET {name}"
            self.server.execute(f"ALTER DATABASE {self.name} {verb}")
            self.server.cut_connections(self.name)

        return change

    def cut(self, bench: Bench) -> None:
        stop = threading.Event()

        def each_second() -> None:
            while not stop.wait(1.0):
                self.server.cut_connections(self.name)

        thread = threading.Thread(target=each_second, daemon=True)
        thread.start()
        bench.steady(looped_s(20))
        stop.set()
        thread.join()

    def frozen(self, _bench: Bench) -> None:
        self._each(signal.SIGSTOP)

    def thawed(self, _bench: Bench) -> None:
        self._each(signal.SIGCONT)

    def locked_out(self, _bench: Bench) -> None:
        self.server.execute("ALTER ROLE esquirell PASSWORD 'another'")
        self.server.cut_connections(self.name, "another")

    def let_in(self, _bench: Bench) -> None:
        self.server.execute(f"ALTER ROLE esquirell PASSWORD '{PASSWORD}'", "another")

    def table_locked(self, bench: Bench) -> None:
        with self.server.connect(self.name) as connection, connection.transaction():
            connection.execute("LOCK TABLE reading IN ACCESS EXCLUSIVE MODE")
            bench.steady(20)

    def _each(self, number: signal.Signals) -> None:
        for pid in self.server.processes():
            os.kill(pid, number)


def outages(postgres: Postgres) -> dict[str, Outage]:
    read_only, timeout = "default_transaction_read_only", "statement_timeout"
    return {
        "PostgreSQL read-only": Outage(
            postgres.setting(read_only, "on"), postgres.setting(read_only, ""), "read.?only"
        ),
        "PostgreSQL ends each statement at once": Outage(
            postgres.setting(timeout, "1"), postgres.setting(timeout, "")
        ),
        "PostgreSQL connections ended each second": Outage(postgres.cut, lasts_s=20),
        "PostgreSQL stopped (SIGSTOP) for 30 s": Outage(
            postgres.frozen, postgres.thawed, "database|PostgreSQL", lasts_s=30, pause_s=PAUSE_S
        ),
        "PostgreSQL stopped (SIGSTOP) for 100 s": Outage(
            postgres.frozen, postgres.thawed, "does not answer", lasts_s=100, pause_s=PAUSE_S
        ),
        "PostgreSQL wants another password": Outage(
            postgres.locked_out, postgres.let_in, "password"
        ),
        "PostgreSQL table locked by another client": Outage(postgres.table_locked),
        "PostgreSQL writes dates in the German style": Outage(
            postgres.setting("datestyle", "German"), postgres.setting("datestyle", "")
        ),
    }


@pytest.mark.parametrize("number", range(8))
def test_postgresql(
    number: int, tmp_path: Path, postgres: PostgresServer, results: list[Result]
) -> None:
    server = Postgres(postgres)
    fault, outage = list(outages(server).items())[number]
    with Bench(tmp_path, database_url=postgres.url(server.name)) as bench:
        results.append(endure(bench, fault, outage))


def test_packets_to_postgresql_are_dropped(
    tmp_path: Path, postgres: PostgresServer, results: list[Result]
) -> None:
    name = postgres.new_database()
    outage = Outage(
        lambda _: proxy.hole(), lambda _: proxy.mend(), "database", lasts_s=40, pause_s=PAUSE_S
    )
    with TcpProxy(postgres.port) as proxy:
        url = postgres.url(name).replace(f":{postgres.port}/", f":{proxy.port}/")
        with Bench(tmp_path, database_url=url) as bench:
            results.append(endure(bench, "packets to PostgreSQL dropped for 40 s", outage))


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_a_disk_that_hangs(tmp_path: Path, results: list[Result]) -> None:
    """Nothing written reaches the disk for half a minute, and no error is reported."""
    hangs = tmp_path / "hangs"
    environment = preloaded(tmp_path, "hung_disk") | {"HUNG_DISK_FILE": str(hangs)}
    outage = Outage(
        lambda _: hangs.touch(),
        lambda _: hangs.unlink(),
        "has not answered",
        lasts_s=40,
        pause_s=PAUSE_S,
    )
    with Bench(tmp_path, environment=environment) as bench:
        results.append(endure(bench, "disk that hangs for 40 s (fsync does not return)", outage))
