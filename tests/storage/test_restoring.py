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
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.readings import Readings


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def saved(sqlite: Database, tmp_path: Path) -> Path:
    """A backup with 3 readings, of a database that has got 5 since."""
    (tmp_path / "backups").mkdir()
    target = tmp_path / "backups" / "copy.db"
    store(sqlite, 3)
    backup(sqlite, target)
    store(sqlite, 5)
    return target


def test_a_restored_backup_is_the_database_and_the_old_file_is_kept(
    sqlite: Database, saved: Path
) -> None:
    aside = restore(saved, sqlite)
    assert Readings(sqlite).counts() == {"main": 3}
    assert sqlite.file
    assert stat.S_IMODE(sqlite.file.stat().st_mode) == 0o600
    assert aside == sqlite.file.with_name("esquirell.db.replaced-1")
    old = Database(f"sqlite:///{aside}")
    assert Readings(old).counts() == {"main": 5}
    old.close()
    assert saved.exists()
    ensure_current(sqlite)
    assert check(sqlite) == []


def test_each_old_file_is_kept(sqlite: Database, saved: Path) -> None:
    first, second = restore(saved, sqlite), restore(saved, sqlite)
    assert first
    assert second
    assert (first.name, second.name) == ("esquirell.db.replaced-1", "esquirell.db.replaced-2")


def test_a_backup_may_be_restored_where_nothing_is(saved: Path, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")
    assert restore(saved, database) is None
    assert Readings(database).counts() == {"main": 3}
    database.close()


def test_a_damaged_database_is_replaced_and_kept(sqlite: Database, saved: Path) -> None:
    sqlite.close()
    assert sqlite.file
    sqlite.file.write_bytes(b"no database at all " * 500)
    aside = restore(saved, sqlite)
    assert Readings(sqlite).counts() == {"main": 3}
    assert aside
    assert aside.read_bytes().startswith(b"no database at all")


def test_a_log_without_its_database_is_not_applied_to_a_backup(
    sqlite: Database, saved: Path
) -> None:
    assert sqlite.file
    log = sqlite.file.with_name(f"{sqlite.file.name}-wal")
    left_behind = log.read_bytes()
    assert left_behind
    sqlite.close()
    sqlite.file.unlink()
    log.write_bytes(left_behind)
    aside = restore(saved, sqlite)
    assert aside
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == left_behind
    assert Readings(sqlite).counts() == {"main": 3}


def test_a_database_in_use_is_not_replaced(sqlite: Database, saved: Path) -> None:
    with Writer(str(sqlite.url), ["garage"]) as writer:
        assert writer.stored() == 0
        with pytest.raises(UnavailableError, match=r"is in use .*: stop esquirell first"):
            restore(saved, sqlite)
    assert Readings(sqlite).counts()["main"] == 5
    assert sqlite.file
    assert not [name for name in names(sqlite.file.parent) if "re" in name.split("db")[-1]]


def _newer(file: Path) -> None:
    database = Database(f"sqlite:///{file}")
    stamp(database, "9999")
    database.close()


def _foreign(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DROP TABLE alembic_version")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (damage, "copy.db is damaged"),
        (_newer, "copy.db was created by a newer version"),
        (_foreign, "copy.db has tables of another program"),
        (
            lambda file: file.write_text("nonsense " * 1000),
            "copy.db is damaged or not an SQLite file",
        ),
        (lambda file: file.write_bytes(b""), "copy.db is empty"),
        (lambda file: file.unlink(), "copy.db is not a file"),
    ],
)
def test_an_unfit_file_is_not_restored(
    sqlite: Database, saved: Path, spoil: object, sentence: str
) -> None:
    assert callable(spoil)
    spoil(saved)
    assert sqlite.file
    before = names(sqlite.file.parent)
    with pytest.raises(ConfigError, match=sentence):
        restore(saved, sqlite)
    assert names(sqlite.file.parent) == before
    assert Readings(sqlite).counts() == {"main": 5}
