"""What is asked of the file alone, as health checks do every few seconds."""

import sqlite3
from pathlib import Path

import pytest
from support.db_samples import sample

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import MeterStatus
from esquirell.storage import quick_query
from esquirell.storage.commands import CommandLog
from esquirell.storage.database import Database
from esquirell.storage.errors import DamagedError
from esquirell.storage.readings import Readings


@pytest.fixture
def file(sqlite: Database) -> Path:
    assert sqlite.file
    return sqlite.file


def test_a_row_is_tried_and_none_is_left(sqlite: Database, file: Path) -> None:
    quick_query.try_out(file)
    quick_query.try_out(file)
    assert list(CommandLog(sqlite).unanswered()) == []
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM command_log").scalar() == 0


def test_a_database_that_another_process_holds_is_waited_for_and_then_named(file: Path) -> None:
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        quick_query.try_out(file, patience_s=0.05)
    holder.execute("ROLLBACK")
    quick_query.try_out(file)
    holder.close()


@pytest.mark.parametrize("look", [quick_query.try_out, quick_query.failures])
def test_a_missing_file_is_not_created(tmp_path: Path, look: object) -> None:
    missing = tmp_path / "100% #1?.db"
    assert callable(look)
    with pytest.raises(sqlite3.OperationalError):
        look(missing)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were opened anew, to write a row."""
    files: list[Path] = []
    real = quick_query.try_out

    def noted(file: Path) -> None:
        files.append(file)
        real(file)

    monkeypatch.setattr(quick_query, "try_out", noted)
    return files


def test_an_unchanged_database_is_not_opened_again_to_be_tried_out(
    sqlite: Database, file: Path, opened: list[Path]
) -> None:
    """For root, SQLite sets the owner of the log whenever it opens it: a page at each look."""
    sqlite.try_out()
    Readings(sqlite).add([sample("main", 1)], {})
    for _ in range(3):
        sqlite.try_out()
    touched = file.with_name(f"{file.name}-wal").stat().st_ctime_ns
    for _ in range(3):
        sqlite.try_out()
    assert len(opened) <= 2
    assert file.with_name(f"{file.name}-wal").stat().st_ctime_ns == touched
    with sqlite.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM command_log").scalar() == 0


def test_a_database_that_has_changed_is_opened_to_be_tried_out(
    sqlite: Database, file: Path, opened: list[Path]
) -> None:
    Readings(sqlite).add([sample("main", 1)], {})
    for _ in range(2):
        sqlite.try_out()
    changed = file.stat().st_mode & 0o777 ^ 0o040
    opened.clear()
    file.chmod(changed)
    sqlite.try_out()
    assert opened == [file]
    content = file.read_bytes()
    file.write_bytes(b"no database at all" * 500)
    with pytest.raises(DamagedError):
        sqlite.try_out()
    file.write_bytes(content)
    opened.clear()
    sqlite.try_out()
    assert opened == [file]
    file.unlink()
    with pytest.raises(UnavailableError, match="is gone"):
        sqlite.try_out()


def test_a_database_that_is_locked_is_not_called_writable(
    sqlite_url: str, sqlite: Database
) -> None:
    impatient = Database(sqlite_url, patience_s=0.05)
    Readings(impatient).add([sample("main", 1)], {})
    for _ in range(2):
        impatient.try_out()
    with sqlite.write(), pytest.raises(UnavailableError, match="locked"):
        impatient.try_out()
    impatient.try_out()
    impatient.close()


def test_a_place_with_odd_signs_is_found(tmp_path: Path, file: Path) -> None:
    odd = tmp_path / "100% #1?.db"
    odd.write_bytes(file.read_bytes())
    quick_query.try_out(odd)


def test_the_failures_of_each_meter_are_reported(sqlite: Database, file: Path) -> None:
    statuses = {"main": MeterStatus(failures=0), "yard": MeterStatus(failures=3)}
    Readings(sqlite).add([sample("main", 1), sample("yard", 1)], statuses)
    assert quick_query.failures(file) == {"main": 0, "yard": 3}
