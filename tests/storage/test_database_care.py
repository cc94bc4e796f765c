import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from support.db_damage import damage, store
from support.db_processes import Writer
from support.db_revisions import stamp

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.care import backup, check
from esquirell.storage.maintenance.restoring import restore
from esquirell.storage.maintenance.revision import HEAD, put_back_tables
from esquirell.storage.readings import Readings
from esquirell.storage.statistics import views


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_sound_database_has_no_problems(database: Database) -> None:
    store(database, 100)
    assert check(database) == []
    assert check(database, quick=True) == []


def test_a_missing_database_is_a_problem_and_is_not_made(tmp_path: Path) -> None:
    (problem,) = check(Database(f"sqlite:///{tmp_path}/esquirell.db"))
    assert "run esquirell db upgrade" in problem
    assert names(tmp_path) == []


def test_a_database_without_tables_is_a_problem(empty_url: str) -> None:
    database = Database(empty_url)
    database.create()
    with database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    (problem,) = check(database)
    assert "run esquirell db upgrade" in problem
    database.close()


def test_a_dropped_table_is_named_and_put_back_with_the_views_on_it(database: Database) -> None:
    store(database, 5)
    cascade = "" if database.file else " CASCADE"
    with database.write() as connection:
        views.drop(connection)
        connection.exec_driver_sql(f"DROP TABLE reading{cascade}")
    (problem,) = check(database)
    assert "lacks reading: run esquirell db upgrade" in problem
    put_back_tables(database)
    assert check(database) == []
    store(database, 3)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM v_readings").scalar() == 3


def test_a_newer_database_is_a_problem(database: Database) -> None:
    stamp(database, "9999")
    (problem,) = check(database)
    assert "upgrade esquirell" in problem
    stamp(database, HEAD)


def test_the_way_back_from_a_newer_release_is_named(sqlite: Database) -> None:
    assert sqlite.file
    copy = sqlite.file.with_name(f"{sqlite.file.name}.before-{HEAD}")
    stamp(sqlite, HEAD)
    backup(sqlite, copy)
    stamp(sqlite, "9999")
    (problem,) = check(sqlite)
    assert f"from before the upgrade: esquirell db restore {copy}." in problem
    restore(copy, sqlite)
    assert check(sqlite) == []


@pytest.mark.parametrize("quick", [False, True])
def test_damage_is_a_problem(sqlite: Database, *, quick: bool) -> None:
    store(sqlite, 2000)
    sqlite.close()
    assert sqlite.file
    damage(sqlite.file)
    problems = check(sqlite, quick=quick)
    assert problems
    assert all("damaged" in problem for problem in problems)
    assert len(problems) <= 10


def test_rows_without_their_meter_are_a_problem(sqlite: Database) -> None:
    store(sqlite, 10)
    assert sqlite.file
    with closing(sqlite3.connect(sqlite.file)) as connection, connection:
        connection.execute("DELETE FROM meter")
    assert check(sqlite) == [f"The database {sqlite.file} has rows of reading without their meter."]


def test_a_server_that_is_away_is_a_problem() -> None:
    (problem,) = check(Database("postgresql://esquirell:secret@127.0.0.1:1/esquirell"))
    assert "refused" in problem
    assert "secret" not in problem


def test_a_backup_holds_everything_in_one_private_file(sqlite: Database, tmp_path: Path) -> None:
    store(sqlite, 100)
    (tmp_path / "backups").mkdir()
    target = tmp_path / "backups" / "copy.db"
    backup(sqlite, target)
    assert names(target.parent) == ["copy.db"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    copy = Database(f"sqlite:///{target}")
    assert Readings(copy).counts() == {"main": 100}
    assert check(copy) == []
    copy.close()


def test_a_backup_while_another_process_writes_is_sound(sqlite: Database, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with Writer(str(sqlite.url), ["garage", "main"]) as writer:
        while writer.stored() < 10:
            pass
        backup(sqlite, target)
        before = writer.stored()
        while writer.stored() < before + 10:
            pass
    copy = Database(f"sqlite:///{target}")
    counts = Readings(copy).counts()
    assert counts["garage"] == counts["main"] >= 11
    assert check(copy) == []
    copy.close()


def test_a_backup_overwrites_nothing(sqlite: Database, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    with pytest.raises(ConfigError, match="already exists"):
        backup(sqlite, target)
    assert target.read_text() == "precious"


def test_a_backup_into_a_missing_folder_is_an_error(sqlite: Database, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"copy.db can't be written: No such file or directory"):
        backup(sqlite, tmp_path / "nowhere" / "copy.db")


def test_a_damaged_database_is_not_backed_up(sqlite: Database, tmp_path: Path) -> None:
    store(sqlite, 2000)
    sqlite.close()
    assert sqlite.file
    damage(sqlite.file)
    with pytest.raises((ConfigError, UnavailableError), match="damaged"):
        backup(sqlite, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_nothing_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to back up"):
        backup(Database(f"sqlite:///{tmp_path}/esquirell.db"), tmp_path / "copy.db")
    assert names(tmp_path) == []


def test_postgresql_has_its_own_tools(tmp_path: Path) -> None:
    database = Database("postgresql://esquirell:secret@127.0.0.1/esquirell")
    with pytest.raises(ConfigError, match="use pg_dump and pg_restore") as caught:
        backup(database, tmp_path / "copy")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="use pg_dump and pg_restore"):
        restore(tmp_path / "copy", database)
