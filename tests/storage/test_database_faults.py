import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import event
from support.db_postgres import PASSWORD, QUOTED_PASSWORD, PostgresServer
from support.db_samples import sample
from support.waiting import LIMIT_S

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.runtime.upkeep import has_tables
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.readings import Readings
from esquirell.storage.sqlite import driver_connection


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/nowhere/esquirell.db")
    with pytest.raises(ConfigError, match=f"The directory {tmp_path}/nowhere does not exist"):
        ensure_current(database)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path}/file/esquirell.db")
    with pytest.raises(ConfigError, match=f"The directory {tmp_path}/file does not exist"):
        ensure_current(database)


def test_a_directory_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}")
    with pytest.raises(ConfigError, match=f"{tmp_path} is not a file"):
        ensure_current(database)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match=f"can't be created in {tmp_path}: Permission denied"):
        ensure_current(Database(f"sqlite:///{tmp_path}/esquirell.db"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_named(sqlite: Database) -> None:
    assert sqlite.file
    sqlite.file.chmod(0o400)
    with pytest.raises(ConfigError, match=f"{sqlite.file} can't be written"):
        ensure_current(Database(str(sqlite.url)))


def test_what_takes_the_place_of_the_file_later_is_waited_out(sqlite: Database) -> None:
    """It was fine when the service began, so that no setting is to blame."""
    file = sqlite.file
    assert file
    sqlite.try_out()
    aside = file.with_name("aside.db")
    file.rename(aside)
    for put, taken in ((file.mkdir, file.rmdir), (partial(os.mkfifo, file), file.unlink)):
        put()
        with (
            pytest.raises(UnavailableError, match=f"{file} is not a file, where a database"),
            sqlite.read(),
        ):
            pass
        with pytest.raises(UnavailableError, match=str(file)):
            sqlite.try_out()
        taken()
    aside.rename(file)
    sqlite.try_out()


COUNT = """
import sqlite3, sys
print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM reading").fetchone()[0])
"""


def counted(file: Path) -> int:
    """Return how many readings another process sees, and this one after a kill."""
    command = [sys.executable, "-c", COUNT, str(file)]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.parametrize("deleted", [("-wal", "-shm"), ("-wal",), ("-shm",)])
def test_a_log_that_a_cleaner_deletes_costs_nothing(
    sqlite: Database, caplog: pytest.LogCaptureFixture, deleted: tuple[str, ...]
) -> None:
    file = sqlite.file
    assert file
    readings = Readings(sqlite)
    readings.add([sample("main", 0)], {})
    with sqlite.read(), sqlite.read():
        pass
    with sqlite.read():
        for part in deleted:
            file.with_name(file.name + part).unlink()
        # While a connection is in use, the old log stays.
        readings.add([sample("main", 1)], {})
        assert "deleted while in use" not in caplog.text
    readings.add([sample("main", 2)], {})
    assert caplog.text.count("was deleted while in use") == 1
    assert counted(file) == 3
    readings.add([sample("main", 3)], {})
    assert caplog.text.count("was deleted while in use") == 1
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def deny_checkpoints(action: int, name: str | None, *_: str | None) -> int:
    is_checkpoint = action == sqlite3.SQLITE_PRAGMA and name == "wal_checkpoint"
    return sqlite3.SQLITE_DENY if is_checkpoint else sqlite3.SQLITE_OK


def test_nothing_is_stored_into_a_deleted_log_that_can_not_be_emptied(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    file = sqlite.file
    assert file
    readings = Readings(sqlite)
    readings.add([sample("main", 0)], {})
    with sqlite.read() as connection:
        raw = driver_connection(connection)
    raw.set_authorizer(deny_checkpoints)
    file.with_name(f"{file.name}-wal").unlink()
    for _ in range(2):
        with pytest.raises(UnavailableError, match="not authorized"):
            readings.add([sample("main", 1)], {})
    raw.set_authorizer(None)
    readings.add([sample("main", 2)], {})
    assert caplog.text.count("was deleted while in use") == 1
    assert counted(file) == 2


# SQLite's lock on checkpoints: https://www.sqlite.org/walformat.html#wal_locks
CHECKPOINT = """
import fcntl, sys
with open(sys.argv[1], "r+b") as index:
    fcntl.lockf(index, fcntl.LOCK_EX, 1, 121)
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_deleted_log_that_another_process_is_emptying_is_still_in_use(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    file = sqlite.file
    assert file
    readings = Readings(sqlite)
    readings.add([sample("main", 0)], {})
    with sqlite.read():
        pass
    command = [sys.executable, "-c", CHECKPOINT, f"{file}-shm"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"locked\n"
        file.with_name(f"{file.name}-wal").unlink()
        readings.add([sample("main", 1)], {})
        assert "was deleted while in use" not in caplog.text
        other.communicate()
    readings.add([sample("main", 2)], {})
    assert caplog.text.count("was deleted while in use") == 1
    assert counted(file) == 3


def test_a_log_whose_index_is_not_there_yet_was_not_deleted(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite.close()
    file = sqlite.file
    assert file
    # SQLite makes it first, and the index after it.
    file.with_name(f"{file.name}-wal").touch()
    assert sqlite.engine is sqlite.engine
    readings = Readings(sqlite)
    for second in range(3):
        readings.add([sample("main", second)], {})
    assert "was deleted while in use" not in caplog.text
    assert counted(file) == 3


def test_a_lock_that_does_not_go_away_is_unavailable(sqlite: Database) -> None:
    impatient = Database(str(sqlite.url), patience_s=0.1)
    with sqlite.write(), pytest.raises(UnavailableError, match="is locked by another process"):
        Readings(impatient).add([sample("main")], {})
    Readings(impatient).add([sample("main")], {})
    assert Readings(sqlite).counts() == {"main": 1}
    impatient.close()


def test_readers_do_not_wait_for_a_writer(sqlite: Database) -> None:
    impatient = Database(str(sqlite.url), patience_s=0.1)
    with sqlite.write() as connection:
        connection.exec_driver_sql("DELETE FROM meter")
        assert Readings(impatient).statuses() == {}
    impatient.close()


def test_a_full_disk_is_unavailable_until_there_is_space(sqlite: Database) -> None:
    readings = Readings(sqlite)
    readings.add([sample("main", 0)], {})
    limit = ["PRAGMA max_page_count=1"]
    event.listen(sqlite.engine, "begin", lambda connection: connection.exec_driver_sql(limit[0]))
    with pytest.raises(UnavailableError, match=r"The disk of the database .* is full"):
        readings.add([sample("main", second) for second in range(1000)], {})
    limit[0] = "PRAGMA max_page_count=100000"
    assert readings.counts() == {"main": 1}
    readings.add([sample("main", second) for second in range(1000)], {})
    assert readings.counts() == {"main": 1000}


@pytest.fixture
def overwritten(sqlite: Database) -> Database:
    Readings(sqlite).add([sample("main", second) for second in range(500)], {})
    sqlite.close()
    assert sqlite.file
    with sqlite.file.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096) * 20)
    return sqlite


def test_a_damaged_file_is_said_to_be_so(overwritten: Database) -> None:
    with pytest.raises(UnavailableError, match=f"{overwritten.file} is damaged .* db restore"):
        Readings(overwritten).add([sample("main", 900)], {})


def test_a_file_that_is_no_database_ends_a_start(tmp_path: Path) -> None:
    file = tmp_path / "esquirell.db"
    file.write_bytes(b"no database at all " * 500)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match=f"{file} is damaged or not an SQLite file"):
        ensure_current(Database(f"sqlite:///{file}"))
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_database_without_tables_says_what_to_run(empty_url: str) -> None:
    database = Database(empty_url)
    database.create()
    with pytest.raises(UnavailableError, match=r"lacks tables .* run esquirell db upgrade"):
        Readings(database).statuses()
    database.close()


def test_all_connections_busy_is_unavailable(sqlite: Database) -> None:
    busy = Database(f"sqlite:///{sqlite.file}", patience_s=0.1)
    held = [busy.engine.connect() for _ in range(10)]
    with pytest.raises(UnavailableError, match=r"All connections .* are busy"):
        Readings(busy).statuses()
    for connection in held:
        connection.close()
    assert Readings(busy).statuses() == {}
    busy.close()


def test_an_unreachable_server_is_unavailable_and_no_password_is_shown() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"postgresql+psycopg://esquirell:{QUOTED_PASSWORD}@127.0.0.1:{port}/esquirell"
        with pytest.raises(UnavailableError, match=r"can't be used: .*refused") as caught:
            Readings(Database(url)).statuses()
    assert f"esquirell:***@127.0.0.1:{port}/esquirell" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert QUOTED_PASSWORD not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        # libpq takes less than two seconds for two.
        url = f"postgresql://esquirell@127.0.0.1:{port}/esquirell?connect_timeout=2"
        with pytest.raises(UnavailableError, match="timeout expired"):
            Readings(Database(url)).statuses()


def test_a_wrong_password_is_unavailable_and_not_shown(postgres: PostgresServer) -> None:
    url = postgres.url("postgres").replace(QUOTED_PASSWORD, "wrong-secret")
    with pytest.raises(UnavailableError, match="password authentication failed") as caught:
        Readings(Database(url)).statuses()
    assert "wrong-secret" not in str(caught.value)


def test_lost_connections_are_replaced(postgres: PostgresServer, postgresql: Database) -> None:
    readings = Readings(postgresql)
    readings.add([sample("main", 0)], {})
    postgres.cut_connections(str(postgresql.url.database))
    readings.add([sample("main", 1)], {})
    assert readings.counts() == {"main": 2}


def test_a_connection_lost_in_the_middle_stores_nothing(
    postgres: PostgresServer, postgresql: Database
) -> None:
    def store_and_lose_the_connection() -> None:
        with postgresql.write() as connection:
            connection.exec_driver_sql("INSERT INTO meter VALUES (1, 'main', '[]', 0, NULL)")
            postgres.cut_connections(str(postgresql.url.database))

    with pytest.raises(UnavailableError, match="terminating connection"):
        store_and_lose_the_connection()
    assert Readings(postgresql).counts() == {}


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = None
from esquirell.domain.errors import ConfigError
from esquirell.runtime.upkeep import has_tables
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings
from esquirell.storage.sqlite import driver_connection
try:
    Readings(Database("postgresql://esquirell@127.0.0.1/esquirell")).statuses()
except ConfigError as error:
    print(error)
"""


def test_a_missing_driver_says_what_to_install() -> None:
    child = subprocess.run(
        [sys.executable, "-c", WITHOUT_DRIVER],
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "-m pip install 'psycopg[binary]" in child.stdout


def test_errors_of_raw_connections_are_translated(sqlite: Database) -> None:
    assert sqlite.file
    with (
        closing(sqlite3.connect(sqlite.file)) as raw,
        pytest.raises(UnavailableError, match="no such function"),
        sqlite.read(),
    ):
        raw.execute("SELECT nonsense()")


def test_a_disk_that_fails_to_look_is_a_database_that_has_disappeared() -> None:
    # As with a disk that gives errors: the system can't even say whether the file is there.
    database = Database("sqlite:////" + "x" * 300 + "/esquirell.db")
    with pytest.raises(UnavailableError, match="is gone"):
        database.try_out()
    with pytest.raises(UnavailableError, match="is gone"), database.write():
        pass


def test_a_place_that_cannot_be_looked_at_holds_no_database() -> None:
    """As on a disk that fails: an error of the system's, not an answer."""
    database = Database(f"sqlite:////{'x' * 300}/esquirell.db")
    assert not has_tables(database)
