"""What is asked of the file alone, as health checks do every few seconds."""

import sqlite3
from pathlib import Path

import pytest
from support.db_samples import sample

from esquirell.domain.reading import MeterStatus
from esquirell.storage import quick_query
from esquirell.storage.commands import CommandLog
from esquirell.storage.database import Database
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


def test_a_place_with_odd_signs_is_found(tmp_path: Path, file: Path) -> None:
    odd = tmp_path / "100% #1?.db"
    odd.write_bytes(file.read_bytes())
    quick_query.try_out(odd)


def test_the_failures_of_each_meter_are_told(sqlite: Database, file: Path) -> None:
    statuses = {"main": MeterStatus(failures=0), "yard": MeterStatus(failures=3)}
    Readings(sqlite).add([sample("main", 1), sample("yard", 1)], statuses)
    assert quick_query.failures(file) == {"main": 0, "yard": 3}
