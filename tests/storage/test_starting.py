import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from support.db_postgres import PASSWORD, QUOTED_PASSWORD, PostgresServer
from support.db_revisions import stamp
from support.db_samples import sample

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import (
    COPY_KEPT_S,
    HEAD,
    ensure_current,
    read_revision,
)
from esquirell.storage.readings import Readings
from esquirell.storage.sqlite import LOG_BYTES


def schema(database: Database) -> list[tuple[str, str]]:
    """Every statement of an SQLite file, without white space, and its revision."""
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql NOTNULL")
        found = sorted((row.name, "".join(row.sql.split())) for row in rows)
        return [*found, ("revision", str(read_revision(connection, "here")))]


def test_an_empty_database_is_made_ready(empty_url: str) -> None:
    database = Database(empty_url)
    ensure_current(database)
    Readings(database).add([sample("main")], {})
    with database.read() as connection:
        assert read_revision(connection, "here") == HEAD
    database.close()


def test_a_current_database_stays_as_it_is(database: Database) -> None:
    Readings(database).add([sample("main")], {})
    # No time for a child process: none is started.
    ensure_current(database, limit_s=0)
    assert Readings(database).counts() == {"main": 1}


def test_a_newer_database_is_refused_and_unchanged(database: Database) -> None:
    Readings(database).add([sample("main")], {})
    stamp(database, "9999")
    with pytest.raises(ConfigError, match=r"created by a newer version .* upgrade esquirell"):
        ensure_current(database)
    with database.read() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert found == "9999"
    assert Readings(database).counts() == {"main": 1}
    stamp(database, HEAD)


def test_another_programs_tables_are_refused(empty_url: str) -> None:
    database = Database(empty_url)
    database.create()
    with database.write() as connection:
        connection.execute(text("CREATE TABLE states (state TEXT)"))
    with pytest.raises(ConfigError, match="has tables of another program"):
        ensure_current(database)
    database.close()


@pytest.mark.parametrize("revision", ["ae1027a6acf", "ae10", "12345"])
def test_another_programs_revision_is_refused(empty_url: str, revision: str) -> None:
    database = Database(empty_url)
    database.create()
    with database.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:it)"), {"it": revision})
    with pytest.raises(ConfigError, match="has tables of another program"):
        ensure_current(database)
    database.close()


def test_another_programs_file_is_not_changed_by_a_byte(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE states (state TEXT)")
    before = file.read_bytes()
    database = Database(f"sqlite:///{file}")
    with pytest.raises(ConfigError):
        ensure_current(database)
    database.close()
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_an_upgrade_that_takes_too_long_is_given_up(database: Database) -> None:
    stamp(database, "0001")
    with pytest.raises(UnavailableError, match=r"took longer than 0 s and was undone") as caught:
        ensure_current(database, limit_s=0.01)
    assert PASSWORD not in repr(caught.value.__cause__)
    assert QUOTED_PASSWORD not in repr(caught.value.__cause__)
    assert Readings(database).counts() == {}
    stamp(database, HEAD)


def test_what_the_child_says_reaches_the_user(sqlite: Database) -> None:
    stamp(sqlite, "0000")
    with pytest.raises(ConfigError, match=r"can't be upgraded: .*0000"):
        ensure_current(sqlite)


def test_a_child_that_breaks_is_no_upgrade(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp(sqlite, "0001")
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with pytest.raises(UnavailableError, match="failed and was undone"):
        ensure_current(sqlite)


def test_a_new_file_is_as_the_scripts_make_it(sqlite: Database, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")
    # No time for a child process: none is started.
    ensure_current(database, limit_s=0)
    assert schema(database) == schema(sqlite)
    database.close()


def test_a_server_that_is_away_is_unavailable(postgres: PostgresServer) -> None:
    url = postgres.url("missing_database")
    with pytest.raises(UnavailableError, match="does not exist"):
        ensure_current(Database(url))


def test_a_backup_copied_into_place_gets_its_log_back(sqlite: Database) -> None:
    sqlite.close()
    assert sqlite.file
    with closing(sqlite3.connect(sqlite.file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    ensure_current(sqlite)
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_copies_of_earlier_upgrades_go(sqlite: Database) -> None:
    assert sqlite.file
    copies = [sqlite.file.with_name(f"{sqlite.file.name}.before-000{number}") for number in (4, 5)]
    for copy in copies:
        copy.touch()
    ensure_current(sqlite)
    assert [copy.exists() for copy in copies] == [False, True]
    long_ago = time.time() - COPY_KEPT_S - 1
    os.utime(copies[1], (long_ago, long_ago))
    ensure_current(sqlite)
    assert not copies[1].exists()


def test_the_log_shrinks_when_a_long_reader_is_gone(sqlite: Database) -> None:
    assert sqlite.file
    wal = sqlite.file.with_name(f"{sqlite.file.name}-wal")

    def write(times: int) -> None:
        for _ in range(times):
            with sqlite.write() as connection:
                connection.execute(text("CREATE TABLE filled AS SELECT zeroblob(1000000) AS body"))
                connection.execute(text("DROP TABLE filled"))

    with sqlite.read() as reader:
        reader.execute(text("SELECT count(*) FROM reading")).scalar_one()
        write(3 * LOG_BYTES // 1_000_000)
        assert wal.stat().st_size > 2 * LOG_BYTES
    write(3)
    assert wal.stat().st_size <= LOG_BYTES
