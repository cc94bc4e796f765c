"""A database that was damaged: found, set aside, and work goes on."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.db_damage import damage, store
from support.db_samples import START, sample
from support.waiting import LIMIT_S

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.care import Backups
from esquirell.storage.maintenance.restoring import DatabaseRepair, is_damaged
from esquirell.storage.readings import Readings

MANY = 3000


class Days:
    """A clock that goes on by a day at each look."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(days=1)
        return self._now


@pytest.fixture
def backups(sqlite: Database, tmp_path: Path) -> Backups:
    return Backups(sqlite, tmp_path / "backups", 3, Days())


@pytest.fixture
def repair(sqlite: Database, backups: Backups) -> DatabaseRepair:
    repair = DatabaseRepair(sqlite, backups, lambda: None)
    sqlite.on_damage = repair.run
    return repair


def count(database: Database) -> int:
    return sum(Readings(database).counts().values())


def write_until_found(database: Database) -> None:
    """Go on storing, as the service does, until the damage is hit."""
    with pytest.raises(UnavailableError, match="damaged"):
        _write(database)


def _write(database: Database) -> None:
    for second in range(10 * MANY):
        Readings(database).add([sample("main", MANY + second)], {})
        count(database)


def test_a_damaged_file_is_set_aside_and_work_continues(
    sqlite: Database, repair: DatabaseRepair
) -> None:
    store(sqlite, MANY)
    sqlite.close()
    assert sqlite.file
    damage(sqlite.file)
    write_until_found(sqlite)
    Readings(sqlite).add([sample("main")], {})
    assert count(sqlite) == 1
    assert is_damaged(sqlite.file.with_name("esquirell.db.damaged-1"))
    repair.run()
    assert count(sqlite) == 1


def test_the_newest_sound_backup_takes_its_place(
    sqlite: Database, backups: Backups, repair: DatabaseRepair, tmp_path: Path
) -> None:
    store(sqlite, MANY)
    backups.make()
    (tmp_path / "backups" / "esquirell-20270101T000000Z.db").write_bytes(b"no backup at all")
    sqlite.close()
    assert sqlite.file
    damage(sqlite.file)
    repair.run()
    assert count(sqlite) == MANY


def test_a_file_that_was_removed_is_waited_for(sqlite: Database, repair: DatabaseRepair) -> None:
    store(sqlite, 3)
    assert sqlite.file
    folder = sqlite.file.parent
    aside = [part.rename(folder / f"away-{part.name}") for part in folder.glob("esquirell.db*")]
    for _ in range(2):
        with pytest.raises(UnavailableError, match=f"database {sqlite.file} is gone"):
            Readings(sqlite).add([sample("main")], {})
        repair.run()
    assert not list(folder.glob("esquirell.db"))
    for part in aside:
        part.rename(folder / part.name.removeprefix("away-"))
    Readings(sqlite).add([sample("main", 4)], {})
    assert count(sqlite) == 4


def test_an_empty_file_in_its_place_is_not_filled(sqlite: Database, repair: DatabaseRepair) -> None:
    store(sqlite, 3)
    sqlite.close()
    assert sqlite.file
    sqlite.file.unlink()
    sqlite.file.touch()
    with pytest.raises(UnavailableError, match="lacks tables"):
        Readings(sqlite).add([sample("main")], {})
    repair.run()
    assert sqlite.file.stat().st_size == 0


def test_a_damaged_database_is_replaced_at_the_start(
    sqlite: Database, repair: DatabaseRepair
) -> None:
    assert sqlite.file
    sqlite.close()
    sqlite.file.write_bytes(bytes(8192))
    repair.run_at_start()
    assert count(sqlite) == 0
    assert sqlite.file.with_name("esquirell.db.damaged-1").read_bytes() == bytes(8192)


def test_a_file_that_a_power_cut_emptied_is_replaced_at_a_start(
    sqlite: Database, backups: Backups, repair: DatabaseRepair
) -> None:
    store(sqlite, 3)
    backups.make()
    sqlite.close()
    assert sqlite.file
    sqlite.file.write_bytes(b"")
    repair.run_at_start(had_rows=True)
    assert count(sqlite) == 3
    assert sqlite.file.with_name("esquirell.db.damaged-1").read_bytes() == b""


def test_an_empty_file_of_a_first_start_is_not_set_aside(
    sqlite: Database, repair: DatabaseRepair
) -> None:
    assert sqlite.file
    sqlite.close()
    sqlite.file.write_bytes(b"")
    repair.run_at_start()
    assert sqlite.file.stat().st_size == 0
    assert not sqlite.file.with_name("esquirell.db.damaged-1").exists()


def test_a_sound_file_stays(sqlite: Database, repair: DatabaseRepair) -> None:
    store(sqlite, 3)
    repair.run_at_start()
    repair.run()
    assert count(sqlite) == 3


def test_many_threads_mend_once(
    sqlite: Database,
    repair: DatabaseRepair,
    start_together: Callable[[Callable[[], None], int], None],
) -> None:
    store(sqlite, MANY)
    sqlite.close()
    assert sqlite.file
    damage(sqlite.file)
    start_together(repair.run, 8)
    assert count(sqlite) == 0
    asides = sqlite.file.parent.glob("esquirell.db.damaged-?")
    assert [aside.name for aside in asides] == ["esquirell.db.damaged-1"]


@pytest.fixture
def start_together() -> Callable[[Callable[[], None], int], None]:
    def start(work: Callable[[], None], number: int) -> None:
        barrier = threading.Barrier(number)

        def one() -> None:
            barrier.wait(LIMIT_S)
            work()

        threads = [threading.Thread(target=one) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    return start


def test_another_file_in_its_place_is_noticed(sqlite: Database, tmp_path: Path) -> None:
    store(sqlite, 3)
    assert sqlite.file
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(sqlite.file)) as source, closing(sqlite3.connect(other)) as copy:
        source.backup(copy)
    for part in ("-wal", "-shm"):
        sqlite.file.with_name(sqlite.file.name + part).unlink(missing_ok=True)
    other.replace(sqlite.file)
    Readings(sqlite).add([sample("main", 100)], {})
    with closing(sqlite3.connect(sqlite.file)) as seen:
        assert seen.execute("SELECT count(*) FROM reading").fetchone() == (4,)


def test_backups_are_rotated(backups: Backups, sqlite: Database) -> None:
    store(sqlite, 3)
    made = [backups.make() for _ in range(5)]
    assert [one["kept"] for one in made] == [1, 2, 3, 3, 3]
    assert [str(file) for file in backups.newest_first()] == [one["file"] for one in made[:1:-1]]
    assert all(file.stat().st_mode & 0o077 == 0 for file in backups.newest_first())
    copy = Database(f"sqlite:///{backups.newest_first()[0]}")
    assert Readings(copy).latest()["main"].measured_at == START + timedelta(seconds=2)
    copy.close()


def test_a_backup_from_the_future_costs_no_other(sqlite: Database, tmp_path: Path) -> None:
    """Made by a clock a year ahead, it would else be the newest for a year."""
    times = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3, 4, 5)]
    now = iter([times[0], times[0].replace(year=2027), *times[1:]])
    current = [next(now)]
    is_right = True
    made = Backups(sqlite, tmp_path / "backups", 3, lambda: current[0], lambda _: is_right)
    store(sqlite, 1)
    made.make()
    for moment in now:
        current[0] = moment
        is_right = moment.year == 2026
        file = made.make()["file"]
        assert Path(file).exists()
    assert [file.name[10:18] for file in made.newest_first()] == [
        "20261105",
        "20261104",
        "20261103",
    ]


def test_no_backup_is_removed_by_a_doubted_clock(sqlite: Database, tmp_path: Path) -> None:
    moments = iter(datetime(year, 11, 1, tzinfo=UTC) for year in (2026, 2027, 2028, 1970))
    current = [next(moments)]
    made = Backups(sqlite, tmp_path / "backups", 3, lambda: current[0], lambda now: now.year > 1970)
    store(sqlite, 1)
    made.make()
    for moment in moments:
        current[0] = moment
        made.make()
    assert len(made.newest_first()) == 4


def test_a_clock_that_is_set_back_during_a_copy_does_not_cost_it(
    sqlite: Database, tmp_path: Path
) -> None:
    moments = iter(datetime(2026, 11, day, tzinfo=UTC) for day in (1, 1, 2, 2, 5, 3))
    made = Backups(sqlite, tmp_path / "backups", 2, lambda: next(moments))
    store(sqlite, 1)
    newest = [made.make() for _ in range(3)][-1]
    assert Path(newest["file"]).stat().st_size == newest["bytes"]
    assert [file.name[10:18] for file in made.newest_first()] == ["20261105", "20261102"]


def test_a_database_that_can_not_say_whether_the_clock_is_right_costs_no_backup(
    sqlite: Database, tmp_path: Path
) -> None:
    def unknown(_now: datetime) -> bool:
        raise UnavailableError("the database is locked")

    made = Backups(sqlite, tmp_path / "backups", 1, Days(), unknown)
    store(sqlite, 1)
    assert [made.make()["kept"] for _ in range(2)] == [1, 2]


def test_a_clock_that_is_behind_brings_back_no_older_backup(
    sqlite: Database, tmp_path: Path
) -> None:
    """As after a power cut, without a battery: the newest backup lies in its future."""
    current = [datetime(2026, 11, 1, tzinfo=UTC)]
    made = Backups(sqlite, tmp_path / "backups", 3, lambda: current[0])
    for day in (1, 5):
        store(sqlite, day)
        current[0] = current[0].replace(day=day)
        made.make()
    current[0] = current[0].replace(day=3)
    assert sqlite.file is not None
    sqlite.close()
    sqlite.file.write_bytes(b"no database" * 500)
    DatabaseRepair(sqlite, made, lambda: None).run_at_start()
    assert count(sqlite) == 5


def test_a_folder_that_cannot_be_made_is_named(sqlite: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"change backup\.folder"):
        Backups(sqlite, tmp_path / "file" / "backups", 3, Days()).make()
