import pytest
from support.db_samples import START

from esquirell.domain.schedule import LastRun, StoredSchedule
from esquirell.storage.database import Database
from esquirell.storage.schedules import Schedules

FETCH = StoredSchedule("fetch", {"every": 60})
NIGHT = StoredSchedule("night", None, {"cron": "0 3 * * *", "args": {"days": [1, 2]}})
GONE = StoredSchedule("gone", {"every": 5}, {"enabled": False}, removed=True)


@pytest.fixture
def schedules(database: Database) -> Schedules:
    return Schedules(database)


def test_schedules_come_back_by_name_as_they_were(schedules: Schedules) -> None:
    schedules.put([NIGHT, FETCH, GONE])
    assert schedules.all() == [FETCH, GONE, NIGHT]


def test_no_base_is_not_an_empty_base(schedules: Schedules) -> None:
    empty = StoredSchedule("empty", {})
    schedules.put([empty, NIGHT])
    assert [stored.base for stored in schedules.all()] == [{}, None]


def test_put_replaces_and_keeps_the_last_run(schedules: Schedules) -> None:
    schedules.put([FETCH])
    run = LastRun(START, "ok")
    schedules.record_run("fetch", run)
    changed = StoredSchedule("fetch", {"every": 30}, {"enabled": False}, removed=True)
    schedules.put([changed])
    assert schedules.all() == [changed]
    assert schedules.last_runs() == {"fetch": run}


def test_a_run_without_a_result_is_kept_too(schedules: Schedules) -> None:
    schedules.put([FETCH, NIGHT])
    schedules.record_run("fetch", LastRun(START))
    assert schedules.last_runs() == {"fetch": LastRun(START), "night": LastRun()}


def test_a_dropped_schedule_takes_its_last_run_along(schedules: Schedules) -> None:
    schedules.put([FETCH, NIGHT, GONE])
    schedules.record_run("fetch", LastRun(START, "error"))
    schedules.drop(["fetch", "gone", "unknown"])
    assert schedules.all() == [NIGHT]
    schedules.put([FETCH])
    assert schedules.last_runs()["fetch"] == LastRun()


def test_a_run_of_a_schedule_that_is_gone_is_ignored(schedules: Schedules) -> None:
    schedules.record_run("fetch", LastRun(START, "ok"))
    assert schedules.last_runs() == {}


def test_nothing_to_change_is_no_transaction(sqlite_url: str) -> None:
    # The database has no tables: any statement would fail.
    schedules = Schedules(Database(sqlite_url))
    schedules.put([])
    schedules.drop([])
