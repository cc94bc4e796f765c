"""What is read of RedBeat's entries without RedBeat is what RedBeat reads."""

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from redbeat.schedulers import RedBeatJSONEncoder
from support.redis_server import RedisProcess

from esquirell.beat.redbeat import client_of, settings_of
from esquirell.beat.rules import Crontab, Grid, Rule
from esquirell.beat.snapshot import DUE_KEY, ScheduleSnapshots
from esquirell.beat.timetable import Entry, RedBeatTimetable, RuleSchedule
from esquirell.beat.timetable_view import MAKE_UP, TimetableView, last_run, latest, start_from
from esquirell.broker.connection import Address, connect
from esquirell.broker.queue import REDBEAT_PREFIX
from esquirell.domain.errors import ConfigError
from esquirell.domain.schedule import LastRun, Schedule

MOMENT = datetime(2026, 10, 25, 2, 30, 15, 250_000, UTC)


@pytest.mark.parametrize(
    "moment",
    [
        MOMENT,
        MOMENT.astimezone(ZoneInfo("Europe/Warsaw")),
        MOMENT.astimezone(timezone(timedelta(hours=-3, minutes=-30))),
        MOMENT.replace(tzinfo=None),
    ],
)
def test_a_moment_is_read_as_redbeat_reads_it(moment: datetime) -> None:
    meta = json.dumps({"last_run_at": moment, "total_run_count": 3}, cls=RedBeatJSONEncoder)
    found = last_run(meta, None).at
    assert found == Entry.decode_meta(meta)["last_run_at"] == MOMENT


@pytest.mark.parametrize(
    "meta", [None, "", "x", "[]", "{}", '{"last_run_at": null}', '{"last_run_at": {"year": 1}}']
)
def test_an_unreadable_entry_is_not_a_run(meta: str | None) -> None:
    assert last_run(meta, None) == LastRun()


def test_the_keys_are_those_of_redbeat(app: Celery) -> None:
    assert settings_of(app).schedule_key == DUE_KEY
    assert Entry.generate_key(app, "fetch") == f"{REDBEAT_PREFIX}fetch"


def test_the_view_shows_what_was_written(app: Celery, server: RedisProcess) -> None:
    schedules = [Schedule(name="fetch", every=86_400), Schedule(name="night", cron="0 3 * * *")]
    ran = datetime.now(UTC)
    runs = {"fetch": LastRun(ran, "ok")}
    timetable = RedBeatTimetable(app, ScheduleSnapshots(client_of(app)), "Europe/Warsaw")
    timetable.replace({one.name: one for one in schedules}, runs)
    timetable.note_run("night", LastRun(ran, "error"))
    view = TimetableView(ScheduleSnapshots(connect(Address(server.url))), "Europe/Warsaw")
    assert view.runs(["fetch", "night"]) == {"fetch": LastRun(ran), "night": LastRun(ran, "error")}
    assert view.version(["fetch"]) == timetable.version(["fetch"])
    due = dict(client_of(app).zrange(DUE_KEY, 0, -1, withscores=True))
    for schedule in schedules:
        following = view.next_run(schedule, view.runs([schedule.name])[schedule.name])
        assert following is not None
        assert following.timestamp() == due[REDBEAT_PREFIX + schedule.name]


def test_a_crontab_whose_run_was_missed_waits_for_its_next_minute(server: RedisProcess) -> None:
    """Missed runs are made up for after a restart of beat alone; nobody who looks promises one."""
    view = TimetableView(ScheduleSnapshots(connect(Address(server.url))), "Europe/Warsaw")
    missed = LastRun(datetime.now(UTC) - timedelta(minutes=10), "ok")
    following = view.next_run(Schedule(name="minute", cron="* * * * *"), missed)
    assert following is not None
    assert (following.second, following.microsecond) == (0, 0)


def test_a_schedule_is_checked_before_it_is_written(server: RedisProcess) -> None:
    view = TimetableView(ScheduleSnapshots(connect(Address(server.url))), "Europe/Warsaw")
    view.check(Schedule(name="night", cron="0 3 * * *"))
    with pytest.raises(ConfigError, match="has 4 fields"):
        view.check(Schedule(name="night", cron="0 3 * *"))
    with pytest.raises(ConfigError, match="no time zone"):
        view.check(Schedule(name="night", cron="0 3 * * *", timezone="Nowhere/Land"))


MINUTE = timedelta(minutes=1)
NIGHT = Crontab("0 3 * * *", "UTC")


@pytest.mark.parametrize(
    ("rule", "ran_ago", "made_up", "begins_ago"),
    [
        # On the grid the last run counts, but never one of the future.
        (Grid(60), 10 * MINUTE, False, 10 * MINUTE),
        (Grid(60), -10 * MINUTE, False, 0 * MINUTE),
        (Grid(60), None, True, None),
        # A crontab's run is made up for within five minutes after a restart, else not at all.
        (NIGHT, 3 * MINUTE, True, 3 * MINUTE),
        (NIGHT, 10 * MINUTE, True, MAKE_UP),
        (NIGHT, -10 * MINUTE, True, 0 * MINUTE),
        (NIGHT, 3 * MINUTE, False, 0 * MINUTE),
        (NIGHT, None, True, 0 * MINUTE),
    ],
)
def test_runs_are_due_from_the_last_one_on_or_from_now(
    rule: Rule, ran_ago: timedelta | None, begins_ago: timedelta | None, *, made_up: bool
) -> None:
    now = datetime.now(UTC)
    ran = None if ran_ago is None else now - ran_ago
    begin = start_from(rule, ran, made_up=made_up)
    if begins_ago is None:
        assert begin is None
    else:
        assert begin is not None
        assert timedelta(0) <= begin - (now - begins_ago) < timedelta(seconds=10)


def test_the_later_of_two_runs_counts() -> None:
    assert latest(MOMENT, MOMENT + MINUTE) == latest(MOMENT + MINUTE, MOMENT) == MOMENT + MINUTE
    assert latest(None, MOMENT) == latest(MOMENT, None) == MOMENT
    assert latest(None, None) is None


def test_entries_are_equal_whatever_the_order_of_their_arguments(app: Celery) -> None:
    def entry(**kwargs: int) -> Entry:
        settings_of(app)
        rule = RuleSchedule(Grid(60), app)
        return Entry(name="own", task="my.task", schedule=rule, args=[], kwargs=kwargs, app=app)

    assert entry(a=1, b=2).definition() == entry(b=2, a=1).definition()
    assert entry(a=1, b=2).definition() != entry(a=1, b=3).definition()
