import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from support.db_postgres import PostgresServer
from support.db_samples import sample
from support.waiting import LIMIT_S

from esquirell.domain.errors import UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.migrate import upgrade
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.readings import Readings
from esquirell.storage.schedules import Schedules
from esquirell.storage.sqlite import use_log


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> object:
    before = os.umask(0)
    yield before
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/esquirell.db")
    ensure_current(database)
    Readings(database).add([sample("main")], {})
    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".db", ".db-shm", ".db-wal"]
    assert [mode(file) for file in files] == [0o600] * 3
    database.close()


def test_an_existing_file_keeps_its_permissions(sqlite: Database) -> None:
    assert sqlite.file
    sqlite.file.chmod(0o640)
    again = Database(f"sqlite:///{sqlite.file}")
    assert Readings(again).counts() == {}
    assert mode(sqlite.file) == 0o640
    again.close()


def test_a_connection_keeps_little_in_memory(sqlite: Database) -> None:
    with sqlite.read() as connection:
        # https://www.sqlite.org/pragma.html#pragma_cache_size: negative, it counts KiB
        assert connection.scalar(text("PRAGMA cache_size")) == -512


def test_the_connection_used_last_is_used_next(database: Database) -> None:
    with database.read(), database.read(), database.read():
        pass
    used = set()
    for _ in range(3):
        with database.read() as connection:
            used.add(connection.connection.driver_connection)
    assert len(used) == 1


def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/esquirell.db").close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("durability", "synchronous"),
    # https://www.sqlite.org/pragma.html#pragma_synchronous: 2 is FULL, 1 NORMAL
    [("full", 2), ("normal", 1)],
)
def test_the_settings_of_a_connection(sqlite: Database, durability: str, synchronous: int) -> None:
    database = Database(str(sqlite.url), durability="full" if durability == "full" else "normal")
    with database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
    }


def test_the_time_limits_of_postgresql(postgresql: Database) -> None:
    with postgresql.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("statement_timeout", "lock_timeout", "TimeZone", "application_name")
        }
    assert found == {
        "statement_timeout": "1min",
        "lock_timeout": "10s",
        "TimeZone": "UTC",
        "application_name": "esquirell",
    }


def test_the_url_may_name_its_own_time_limit(postgresql: Database) -> None:
    url = postgresql.url.update_query_dict({"application_name": "other"})
    database = Database(url.render_as_string(hide_password=False))
    with database.read() as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "other"
    database.close()


def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    def store(name: str, divisor: int) -> float:
        statement = text("INSERT INTO schedule (name, overrides, removed) VALUES (:n, '{}', false)")
        with database.write() as connection:
            connection.execute(statement, {"n": name})
            return 1 / divisor

    with pytest.raises(ZeroDivisionError):
        store("undone", 0)
    store("kept", 1)
    assert [stored.name for stored in Schedules(database).all()] == ["kept"]


def test_many_threads_write_and_read_at_once(database: Database) -> None:
    readings = Readings(database)
    start = threading.Barrier(16)

    def work(number: int) -> None:
        start.wait(LIMIT_S)
        for second in range(10):
            readings.add([sample(f"meter{number % 4}", 100 * number + second)], {})
            readings.statuses()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    assert readings.counts() == {f"meter{number}": 40 for number in range(4)}


def test_a_closed_database_opens_again(database: Database) -> None:
    readings = Readings(database)
    readings.add([sample("main", 0)], {})
    database.close()
    readings.add([sample("main", 1)], {})
    assert readings.counts() == {"main": 2}


FORKING = """
import os, sys
from support.db_samples import sample
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.schedules import Schedules
from esquirell.storage.sqlite import use_log
readings = Readings(Database(sys.stdin.read()))
readings.add([sample("main", 0)], {})
child = os.fork()
if child == 0:
    readings.add([sample("main", 1)], {})
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
readings.add([sample("main", 2)], {})
assert readings.counts() == {"main": 3}
"""


def test_a_forked_child_uses_connections_of_its_own(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    tests = str(Path(__file__).parent.parent)
    child = subprocess.run(
        [sys.executable, "-c", FORKING],
        input=url,
        env=os.environ | {"PYTHONPATH": tests},
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")


LIGHT = """
import sys
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.schedules import Schedules
from esquirell.storage.sqlite import use_log
from esquirell.storage.maintenance.revision import ensure_current
database = Database(sys.stdin.read())
ensure_current(database)
Readings(database).statuses()
heavy = {"alembic", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "psycopg"}
print(sorted(heavy & set(sys.modules)))
"""


def test_a_start_loads_neither_alembic_nor_the_other_database(sqlite: Database) -> None:
    child = subprocess.run(
        [sys.executable, "-c", LIGHT],
        input=str(sqlite.url),
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout == "[]\n"


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    directory = tmp_path / "50 % of #it is ü"
    directory.mkdir()
    url = f"sqlite:///{directory}/my data.db"
    upgrade(url)
    database = Database(url)
    assert Readings(database).counts() == {}
    database.close()


def test_many_may_switch_the_log_on_at_once(tmp_path: Path) -> None:
    at_once = 4
    start = threading.Barrier(at_once)

    def switch(url: str) -> str:
        database = Database(url)
        database.create()
        with database.connect() as connection:
            start.wait(LIMIT_S)
            use_log(connection)
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        database.close()
        return str(mode)

    with ThreadPoolExecutor(at_once) as pool:
        for number in range(20):
            url = f"sqlite:///{tmp_path}/{number}.db"
            assert list(pool.map(switch, [url] * at_once)) == ["wal"] * at_once


def test_a_changed_password_is_read_again_when_the_old_one_is_refused(
    postgres: PostgresServer, postgres_with_tables: str
) -> None:
    name = postgres_with_tables.rpartition("/")[2]

    def url(password: str) -> str:
        return f"postgresql+psycopg://rotating:{password}@127.0.0.1:{postgres.port}/{name}"

    postgres.execute("CREATE ROLE rotating LOGIN SUPERUSER PASSWORD 'before'")
    database = Database(url("before"))
    database.renew = lambda: url("after")
    Readings(database).statuses()
    postgres.execute("ALTER ROLE rotating PASSWORD 'after'")
    database.close()
    with pytest.raises(UnavailableError, match="password authentication failed"):
        Readings(database).statuses()
    Readings(database).statuses()
    database.try_out()
    database.close()
    postgres.execute("DROP ROLE rotating")


@pytest.mark.parametrize("setting", ["datestyle = German", "extra_float_digits = -15"])
def test_settings_of_the_server_change_no_value(
    postgres: PostgresServer, postgres_with_tables: str, setting: str
) -> None:
    name = postgres_with_tables.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET {setting}")
    database = Database(postgres_with_tables)
    query = text("SELECT timestamptz '2026-11-22 10:15:00.123+00', 1.2345678901234567::float8")
    with database.read() as connection:
        moment, number = connection.execute(query).one()
    assert moment == datetime(2026, 11, 22, 10, 15, 0, 123_000, UTC)
    assert number == 1.2345678901234567
    database.close()
