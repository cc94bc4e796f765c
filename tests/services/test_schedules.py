import threading
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import Clock, ScheduleStore, Timetable
from support.waiting import LIMIT_S

from esquirell.domain.errors import ConfigError
from esquirell.domain.reading import iso
from esquirell.domain.schedule import LastRun, Schedule, StoredSchedule
from esquirell.services.schedules import Schedules, enabled_of, pace_of

FETCH = Schedule(name="fetch", every=60)


class Bench:
    def __init__(self, *stored: StoredSchedule) -> None:
        self.store = ScheduleStore(*stored)
        self.timetable = Timetable()
        self.clock = Clock()
        self.schedules = Schedules(self.store, self.timetable, self.clock)

    def start(self, *defaults: Schedule) -> dict[str, Schedule]:
        self.schedules.adopt(defaults)
        self.schedules.sync()
        return self.timetable.entries


def user(
    name: str, base: dict[str, Any] | None, removed: bool = False, **changes: object
) -> StoredSchedule:
    return StoredSchedule(name, base, changes, removed)


def test_the_defaults_of_the_file_run() -> None:
    bench = Bench()
    assert bench.start(FETCH) == {"fetch": FETCH}
    assert bench.store.rows["fetch"].origin == "config"


def test_a_field_that_a_user_changed_wins_and_the_others_follow_the_file() -> None:
    bench = Bench(user("fetch", {"every": 60}, every=10))
    entries = bench.start(Schedule(name="fetch", every=300, expires=99))
    assert (entries["fetch"].every, entries["fetch"].expires) == (10, 99)
    assert bench.store.rows["fetch"].origin == "user"


def test_a_change_of_the_file_is_followed_where_no_user_changed_it() -> None:
    bench = Bench()
    bench.start(FETCH)
    assert bench.start(Schedule(name="fetch", every=5))["fetch"].every == 5


def test_a_removed_schedule_stays_removed() -> None:
    bench = Bench(user("fetch", {"every": 60}, removed=True))
    assert bench.start(FETCH) == {}
    assert bench.store.rows["fetch"].removed


def test_a_schedule_that_left_the_file_is_gone() -> None:
    bench = Bench()
    bench.start(FETCH, Schedule(name="night", cron="0 3 * * *"))
    assert set(bench.start(FETCH)) == {"fetch"}
    assert set(bench.store.rows) == {"fetch"}


def test_a_schedule_that_left_the_file_stays_if_a_user_changed_it() -> None:
    bench = Bench(user("night", {"cron": "0 3 * * *"}, enabled=True))
    entries = bench.start(FETCH)
    assert entries["night"].cron == "0 3 * * *"


def test_schedules_added_by_a_user_stay() -> None:
    bench = Bench(user("mine", None, every=5))
    assert set(bench.start(FETCH)) == {"fetch", "mine"}


def test_an_emptied_table_gets_the_schedules_of_the_file_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.start(FETCH)
    bench.store.rows.clear()
    bench.schedules.sync()
    assert bench.timetable.entries == {"fetch": FETCH}
    assert caplog.text.count("the database has lost its schedules") == 1
    # One that another process wrote there: perhaps that was started with another file.
    bench.store.rows = {"mine": user("mine", None, every=5)}
    bench.schedules.sync()
    assert set(bench.timetable.entries) == {"mine"}


def test_a_disabled_schedule_has_no_entry() -> None:
    bench = Bench(user("fetch", {"every": 60}, enabled=False))
    assert bench.start(FETCH) == {}


def test_a_rule_of_the_user_wins_over_another_kind_in_the_file() -> None:
    bench = Bench(user("fetch", {"every": 60}, every=10))
    changed = bench.start(Schedule(name="fetch", cron="0 3 * * *", timezone="UTC"))["fetch"]
    assert (changed.every, changed.cron, changed.timezone) == (10, None, None)


def test_a_time_zone_of_the_user_goes_when_the_file_says_an_interval() -> None:
    bench = Bench(user("night", {"cron": "0 3 * * *"}, timezone="Asia/Tokyo"))
    changed = bench.start(Schedule(name="night", every=60))["night"]
    assert (changed.every, changed.timezone) == (60, None)


def test_the_pace_of_a_meter_is_its_shortest_interval() -> None:
    bench = Bench()
    assert bench.schedules.pace_s("main") is None
    bench.start(FETCH, Schedule(name="fast", every=5, meters=("main",)))
    assert (bench.schedules.pace_s("main"), bench.schedules.pace_s("other")) == (5, 60)


@pytest.mark.parametrize(("every", "writes"), [(1, 2), (0, 600), (300, 600)])
def test_a_short_intervals_runs_are_written_rarely(every: int, writes: int) -> None:
    bench = Bench()
    bench.start(FETCH)
    for _ in range(600):
        bench.schedules.ran("fetch", "ok", every)
        bench.clock.advance(1)
    assert bench.store.writes == writes


def test_a_bad_crontab_of_the_file_is_refused_by_name() -> None:
    bench = Bench()
    with pytest.raises(ConfigError, match=r"schedules\.night"):
        bench.schedules.check([FETCH, Schedule(name="night", cron="never")])


def test_a_schedule_that_can_not_run_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(user("night", None, cron="never"))
    assert set(bench.start(FETCH)) == {"fetch"}
    for _ in range(2):
        bench.schedules.states()
    assert caplog.text.count("night does not run") == 1


def test_the_last_run_and_the_next_one_are_distinguished() -> None:
    bench = Bench()
    bench.start(FETCH, Schedule(name="night", cron="0 3 * * *", enabled=False))
    bench.schedules.ran("fetch", "ok", 60)
    states = bench.schedules.states()
    assert states["fetch"]["last_run_at"] == iso(bench.clock())
    assert states["fetch"]["next_run_at"] == iso(bench.clock() + timedelta(minutes=1))
    assert states["fetch"]["last_result"] == "ok"
    assert (states["night"]["last_run_at"], states["night"]["next_run_at"]) == (None, None)


def test_a_database_that_hangs_is_not_waited_for_by_each_run() -> None:
    bench = Bench()
    bench.start(FETCH)
    begun, goes_on = threading.Event(), threading.Event()
    record = bench.store.record_run

    def hang(name: str, run: LastRun) -> None:
        begun.set()
        goes_on.wait(LIMIT_S)
        record(name, run)

    bench.store.record_run = hang  # type: ignore[method-assign]
    first = threading.Thread(target=bench.schedules.ran, args=("fetch", "ok", 1))
    first.start()
    assert begun.wait(LIMIT_S)
    bench.schedules.ran("fetch", "ok", 1)
    goes_on.set()
    first.join(LIMIT_S)
    assert bench.store.writes == 1
    bench.clock.advance(600)
    bench.schedules.ran("fetch", "ok", 1)
    assert bench.store.writes == 2


def test_only_enabled_and_valid_schedules_run() -> None:
    stored = [
        user("fetch", {"every": 60}),
        user("off", {"every": 60}, enabled=False),
        user("gone", {"every": 60}, removed=True),
        user("own", None, cron="0 3 * * *"),
        user("faulty", {"every": 60}, every=0),
    ]
    found = enabled_of(stored)
    assert {name: (one.every, one.cron) for name, one in found.items()} == {
        "fetch": (60, None),
        "own": (None, "0 3 * * *"),
    }


def test_the_pace_of_a_meter_is_that_of_the_schedule_that_reads_it_most_often() -> None:
    schedules = [
        Schedule(name="all", every=60),
        Schedule(name="main", every=10, meters=("main",)),
        Schedule(name="garage", every=5, meters=("garage",)),
        Schedule(name="night", cron="0 3 * * *"),
        Schedule(name="own", every=1, task="my_house.tasks.heat"),
    ]
    paces = {name: pace_of(schedules, name) for name in ("main", "garage", "cellar")}
    assert paces == {"main": 10, "garage": 5, "cellar": 60}
    assert pace_of(schedules[3:], "main") is None
