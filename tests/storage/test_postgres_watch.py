"""A PostgreSQL server that stops answering: nothing waits for it, and it is used again at once."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.db_postgres import QUOTED_PASSWORD, PostgresServer
from support.db_samples import sample
from support.tcp_proxy import TcpProxy
from support.waiting import LIMIT_S, eventually

from esquirell.domain.errors import UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.postgres import NotAnsweringError, ServerWatch
from esquirell.storage.readings import Readings


@contextmanager
def frozen(server: PostgresServer) -> Iterator[None]:
    """Stop the server and all its processes, as a virtual machine that is paused."""
    stopped = server.processes()

    def go_on() -> None:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)

    # A test that waits too long fails.
    late = threading.Timer(LIMIT_S, go_on)
    late.start()
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        late.cancel()
        go_on()


@pytest.fixture
def database(postgresql: Database) -> Database:
    return postgresql


def refused_s(readings: Readings, second: int) -> float:
    """Return how long it took until the database was said not to answer."""
    began = time.monotonic()
    with pytest.raises(NotAnsweringError, match=r"The database .*\*\*\*@.* does not answer\."):
        readings.add([sample("main", second)], {})
    return time.monotonic() - began


def test_a_frozen_server_is_found_out_and_used_again(
    postgres: PostgresServer, database: Database
) -> None:
    readings = Readings(database)
    readings.add([sample("main", 0)], {})
    with frozen(postgres):
        assert refused_s(readings, 1) < LIMIT_S / 2
        # Those that follow wait for nothing.
        assert refused_s(readings, 2) < 0.5
    eventually(lambda: stores(readings, 3))
    assert readings.counts() == {"main": 2}


def stores(readings: Readings, second: int) -> bool:
    try:
        readings.add([sample("main", second)], {})
    except UnavailableError:
        return False
    return True


def test_a_transaction_that_waits_is_cut(postgres: PostgresServer, database: Database) -> None:
    """What was sent before the server froze would wait for as long as it does."""
    with pytest.raises(UnavailableError):
        freeze_within(database, postgres)
    eventually(lambda: stores(Readings(database), 1))


def freeze_within(database: Database, server: PostgresServer) -> None:
    with database.write() as connection, frozen(server):
        connection.exec_driver_sql("SELECT 1")


def test_a_network_that_drops_packets(postgres: PostgresServer, postgres_with_tables: str) -> None:
    with TcpProxy(postgres.port) as proxy:
        name = postgres_with_tables.rpartition("/")[2]
        url = f"postgresql+psycopg://esquirell:{QUOTED_PASSWORD}@127.0.0.1:{proxy.port}/{name}"
        database = Database(url)
        readings = Readings(database)
        readings.add([sample("main", 0)], {})
        proxy.hole()
        assert refused_s(readings, 1) < LIMIT_S / 2
        assert refused_s(readings, 2) < 0.5
        proxy.mend()
        eventually(lambda: stores(readings, 3))
        database.close()


def test_a_server_that_only_takes_long_is_not_cut(database: Database) -> None:
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT 1 FROM pg_sleep(3)").scalar() == 1
        assert connection.exec_driver_sql("SELECT 2").scalar() == 2


def test_the_watch_ends_with_what_it_watches() -> None:
    asked = threading.Event()
    watch = ServerWatch(asked.set, lambda: None, "here")
    with watch.waiting():
        assert asked.wait(LIMIT_S)
    eventually(lambda: "database-watch" not in {one.name for one in threading.enumerate()})
    with watch.waiting():
        names = {one.name for one in threading.enumerate()}
    assert "database-watch" in names


def test_a_server_that_could_not_be_asked_is_not_given_up() -> None:
    """Such as without a free file descriptor: the watch goes on, and refuses nothing for ever."""
    outcomes = [OSError("too many open files"), TimeoutError(), OSError("too many open files")]
    lost = threading.Event()

    def ask() -> None:
        if outcomes:
            raise outcomes.pop(0)

    watch = ServerWatch(ask, lost.set, "here")
    watch.suspect_after_s = watch.look_every_s = watch.ask_again_s = 0.01
    with watch.waiting():
        assert lost.wait(LIMIT_S)
        eventually(lambda: not outcomes)
    eventually(lambda: "database-watch" not in {one.name for one in threading.enumerate()})
    watch.check()


def test_without_a_free_thread_the_server_is_used_unwatched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = threading.Event()
    watch = ServerWatch(asked.set, lambda: None, "somewhere")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with watch.waiting():
            pass
    assert "the database somewhere is not watched: can't start new thread" in caplog.text
    with watch.waiting():
        assert asked.wait(LIMIT_S)
