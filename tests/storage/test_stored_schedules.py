from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text
from support.db_samples import START, put

from esquirell.domain.errors import CommandError
from esquirell.domain.schedule import Changes, LastRun, StoredSchedule
from esquirell.storage.database import Database
from esquirell.storage.schedules import Schedules

FETCH = StoredSchedule("fetch", {"every": 60})
NIGHT = StoredSchedule("night", None, {"cron": "0 3 * * *", "args": {"days": [1, 2]}})
GONE = StoredSchedule("gone", {"every": 5}, {"enabled": False}, removed=True)


@pytest.fixture
def schedules(database: Database) -> Schedules:
    return Schedules(database)


def test_schedules_are_stored_unchanged_by_name(schedules: Schedules) -> None:
    put(schedules, NIGHT, FETCH, GONE)
    assert schedules.all() == [FETCH, GONE, NIGHT]


def test_a_missing_base_is_not_an_empty_base(schedules: Schedules) -> None:
    empty = StoredSchedule("empty", {})
    put(schedules, empty, NIGHT)
    assert [stored.base for stored in schedules.all()] == [{}, None]


def test_a_change_replaces_and_keeps_the_last_run(schedules: Schedules) -> None:
    put(schedules, FETCH)
    run = LastRun(START, "ok")
    schedules.record_run("fetch", run)
    changed = StoredSchedule("fetch", {"every": 30}, {"enabled": False}, removed=True)
    put(schedules, changed)
    assert schedules.all() == [changed]
    assert schedules.last_runs() == {"fetch": run}


def test_a_run_without_a_result_is_kept_too(schedules: Schedules) -> None:
    put(schedules, FETCH, NIGHT)
    schedules.record_run("fetch", LastRun(START))
    assert schedules.last_runs() == {"fetch": LastRun(START), "night": LastRun()}


def test_a_dropped_schedule_takes_its_last_run_along(schedules: Schedules) -> None:
    put(schedules, FETCH, NIGHT, GONE)
    schedules.record_run("fetch", LastRun(START, "error"))
    schedules.change(lambda _: dict.fromkeys(["fetch", "gone", "unknown"]))
    assert schedules.all() == [NIGHT]
    put(schedules, FETCH)
    assert schedules.last_runs()["fetch"] == LastRun()


def test_a_run_of_a_schedule_that_has_disappeared_is_ignored(schedules: Schedules) -> None:
    schedules.record_run("fetch", LastRun(START, "ok"))
    assert schedules.last_runs() == {}


def test_simultaneous_changes_are_all_kept(database: Database, schedules: Schedules) -> None:
    put(schedules, FETCH)

    def count(stored: Mapping[str, StoredSchedule]) -> Changes:
        old = stored["fetch"]
        return {"fetch": replace(old, overrides={"args": old.overrides.get("args", 0) + 1})}

    def changes() -> None:
        # As in another process: with connections of its own.
        other = Database(database.url.render_as_string(hide_password=False))
        for _ in range(10):
            Schedules(other).change(count)
        other.close()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(changes) for _ in range(4)]:
            done.result()
    assert schedules.all()[0].overrides == {"args": 40}


def test_a_change_that_fails_leaves_all_as_it_was(schedules: Schedules) -> None:
    def refuse(_: object) -> Changes:
        raise CommandError("unknown_schedule", "there is none")

    put(schedules, FETCH)
    with pytest.raises(CommandError):
        schedules.change(refuse)
    assert schedules.all() == [FETCH]


@pytest.mark.parametrize("damaged", ["{", "[]", "7", b"\xff"])
def test_a_schedule_that_is_damaged_stops_no_other(sqlite: Database, damaged: object) -> None:
    schedules = Schedules(sqlite)
    put(schedules, NIGHT, FETCH)
    change = text("UPDATE schedule SET base = :it, overrides = :it WHERE name = 'fetch'")
    with sqlite.write() as connection:
        connection.execute(change, {"it": damaged})
    assert schedules.all() == [StoredSchedule("fetch", None), NIGHT]
    # The next start takes it over from the configuration again.
    put(schedules, FETCH)
    assert schedules.all() == [FETCH, NIGHT]
