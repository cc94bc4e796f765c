from datetime import timedelta
from pathlib import Path

from support.db_processes import Writer
from support.db_samples import START

from esquirell.storage.database import Database
from esquirell.storage.maintenance.care import check
from esquirell.storage.readings import Readings

WHOLE_DAY = (START - timedelta(hours=1), START + timedelta(hours=23))


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def test_many_processes_write_at_once_and_no_row_is_lost(database: Database) -> None:
    meters = ["garage", "main"]
    writers = [Writer(url_of(database), meters, 50, number / 10) for number in range(3)]
    assert [writer.finish() for writer in writers] == [""] * 3
    assert Readings(database).counts() == {"garage": 150, "main": 150}
    assert check(database) == []


def test_two_processes_may_make_the_database_at_once(empty_url: str) -> None:
    writers = [Writer(empty_url, ["main"], 5, number / 10) for number in range(2)]
    assert [writer.finish() for writer in writers] == [""] * 2
    database = Database(empty_url)
    assert Readings(database).counts() == {"main": 10}
    assert check(database) == []
    database.close()


def test_nothing_but_the_database_is_left_by_a_first_start(sqlite_url: str) -> None:
    assert Writer(sqlite_url, ["main"], 1).finish() == ""
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    assert list(file.parent.iterdir()) == [file]


def test_a_killed_writer_leaves_all_that_it_stored_and_a_sound_file(database: Database) -> None:
    with Writer(url_of(database), ["garage", "main"]) as writer:
        while writer.stored() < 20:
            pass
        last = writer.kill()
    readings = Readings(database)
    assert check(database) == []
    found = [taken.measured_at for taken in readings.query(["main"], *WHOLE_DAY)]
    # One more may have been stored and not reported.
    seconds = [round((moment - START).total_seconds()) for moment in found]
    assert seconds in (list(range(last + 1)), list(range(last + 2)))
    counts = readings.counts()
    assert counts["garage"] == counts["main"]


def test_others_go_on_after_a_writer_was_killed(database: Database) -> None:
    with Writer(url_of(database), ["main"]) as writer:
        assert writer.stored() == 0
        writer.kill()
    before = Readings(database).counts()["main"]
    assert Writer(url_of(database), ["main"], 3, offset=0.5).finish() == ""
    assert Readings(database).counts() == {"main": before + 3}
