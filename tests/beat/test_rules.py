from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from esquirell.beat.rules import Crontab, Grid, check_cron, explain, from_json, rule_of
from esquirell.beat.timetable import RuleSchedule
from esquirell.domain.errors import ConfigError
from esquirell.domain.schedule import Schedule

WARSAW = "Europe/Warsaw"
moments = st.datetimes(
    datetime(2020, 1, 1),  # noqa: DTZ001 - the zone stands beside it
    datetime(2040, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)


@given(moments, st.integers(1, 100_000))
def test_an_interval_runs_on_multiples_of_itself(moment: datetime, every: int) -> None:
    run = Grid(every).after(moment)
    assert run > moment
    assert run - moment <= timedelta(seconds=every)
    assert run.timestamp() % every == 0


@given(moments)
def test_a_crontab_runs_after_the_moment_and_at_a_full_minute(moment: datetime) -> None:
    run = Crontab("*/7 3-9 * * mon-fri", WARSAW).after(moment)
    assert run is not None
    assert run > moment
    assert (run.second, run.microsecond) == (0, 0)


def folds() -> list[tuple[str, datetime]]:
    """Return when clocks are set back, by an hour or half of one, at different times of day."""
    found = []
    for zone in ("Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "America/Havana"):
        for hour in range(366 * 24):
            moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
            before, after = (
                one.astimezone(ZoneInfo(zone)).utcoffset()
                for one in (moment, moment + timedelta(hours=1))
            )
            if before and after and after < before:
                found.append((zone, moment))
    return found


FOLDS = folds()
CRONTABS = (
    "30 2 * * *",
    "*/15 * * * *",
    "0 * * * *",
    "45 1,2,3 * * *",
    "30 0 * * sun",
    "5 2 25 10 *",
)


@given(st.sampled_from(FOLDS), st.sampled_from(CRONTABS), st.integers(-3 * 3600, 4 * 3600))
def test_where_the_clock_is_set_back_a_run_is_never_over(
    fold: tuple[str, datetime], cron: str, seconds: int
) -> None:
    zone, moment = fold
    rule, after = Crontab(cron, zone), moment + timedelta(seconds=seconds)
    run = rule.after(after)
    assert run is not None
    assert run > after
    # None is left out on the way there.
    assert rule.after(run - timedelta(seconds=1)) == run
    assert rule.after(after + (run - after) / 2) == run


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("cron", "after", "runs"),
    [
        # Europe/Warsaw springs forward on 29 March 2026 from 02:00 to 03:00.
        ("30 2 * * *", "2026-03-28T12:00+01:00", ["2026-03-29T03:00+02:00"]),
        ("0 12 * * *", "2026-03-28T13:00+01:00", ["2026-03-29T12:00+02:00"]),
        # It falls back on 25 October 2026 from 03:00 to 02:00: the hour from 02:00 comes twice.
        (
            "30 2 * * *",
            "2026-10-24T12:00+02:00",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        (
            "0 * * * *",
            "2026-10-25T01:30+02:00",
            ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"],
        ),
        # In the second round of that hour the run of the first is over.
        ("30 2 * * *", "2026-10-25T02:10+01:00", ["2026-10-26T02:30+01:00"]),
        ("0 0 * * 1", "2026-11-22T12:00+01:00", ["2026-11-23T00:00+01:00"]),
    ],
)
def test_daylight_saving(cron: str, after: str, runs: list[str]) -> None:
    moment, rule = at(after), Crontab(cron, WARSAW)
    for expected in runs:
        found = rule.after(moment)
        assert found == at(expected)
        moment = found


ZONES = ["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["30 2 * * *", "15 1 * * *", "0 0 * * *", "59 23 * * *"])
def test_a_year_has_a_run_on_each_of_its_days(cron: str, zone: str) -> None:
    """Also on those that are an hour longer or shorter, or have no such time."""
    local = ZoneInfo(zone)
    rule, days = Crontab(cron, zone), []
    moment = datetime(2025, 12, 31, 23, 59, 30, tzinfo=local)
    while (run := rule.after(moment)) and run < datetime(2027, 1, 1, tzinfo=local):
        days.append(run.astimezone(local).date())
        moment = run
    assert days == [date(2026, 1, 1) + timedelta(days=day) for day in range(365)]


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "99 * * * *",
        "* * * *",
        "* * * * * *",
        "0 0 31 2 *",
        "x y z a b",
        f"{'1' * 5000} * * * *",
    ],
)
def test_a_crontab_that_never_runs_is_refused(cron: str) -> None:
    with pytest.raises(ConfigError, match="cron"):
        check_cron(cron, WARSAW)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time zone Mars/Base"):
        check_cron("* * * * *", "Mars/Base")


def test_a_crontab_whose_asterisks_a_shell_took_for_files_is_shown_in_short() -> None:
    files = " ".join(f"file{number}.key" for number in range(26))
    with pytest.raises(ConfigError) as caught:
        check_cron(f"61 {files} {files}", WARSAW)
    sentence = str(caught.value)
    assert "has 53 fields, not five: minute, hour, day, month and weekday; put it in" in sentence
    assert len(sentence) < 250
    with pytest.raises(ConfigError, match=r"month and weekday$"):
        check_cron("0 0 6 * * *", WARSAW)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(name="a", every=10),
        Schedule(name="b", cron="0 4 * * *"),
        Schedule(name="c", cron="0 4 * * *", timezone="Asia/Tokyo"),
    ],
)
def test_a_rule_survives_its_way_through_redis(schedule: Schedule) -> None:
    rule = rule_of(schedule, WARSAW)
    assert from_json(rule.to_json()) == rule


def test_a_crontab_without_a_zone_is_in_the_configured_one() -> None:
    assert rule_of(Schedule(name="b", cron="0 4 * * *"), WARSAW) == Crontab("0 4 * * *", WARSAW)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("30 8 * * mon-fri", "At 08:30 on weekdays"),
        ("0 12 * * sat,sun", "At 12:00 at weekends"),
        ("0 0 * * 0", "At 00:00 every Sunday"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("* * * * *", "Every minute"),
        ("0 * * * *", "Every hour, on the hour"),
        ("0 */2 * * *", "Every 2 hours"),
        ("0 8-18 * * *", "Every hour from 8:00 to 18:00"),
        ("*/7 */3 * * *", "Every 7 minutes in every third hour"),
        ("*/10 8,9,20 * * *", "Every 10 minutes in the hours 8, 9, and 20"),
        ("*/30 7-19 * * 1-5", "Every 30 minutes from 07:00 to 19:59 on weekdays"),
        ("30 6,18 * * *", "At 06:30 and 18:30 every day"),
        ("15 10 L * *", "At 10:15 on the last day of every month"),
        ("0 9 * * 1#1", "At 09:00 on the first Monday of the month"),
        ("0 3 */2 * *", "At 03:00 on every other day of the month"),
    ],
)
def test_a_crontab_is_said_as_people_say_it(cron: str, words: str) -> None:
    said, runs = explain(cron, "Europe/Warsaw", 1)
    assert said == words
    assert len(runs) == 1


def test_an_invalid_crontab_is_refused() -> None:
    with pytest.raises(ConfigError, match="61"):
        rule_of(Schedule.model_construct(name="x", cron="61 * * * *"), "UTC")


def test_beat_looks_again_when_the_next_run_is_due(app: Celery) -> None:
    schedule = RuleSchedule(Grid(60), app)
    for is_due, last_run in ((False, schedule.now()), (True, schedule.now() - timedelta(hours=1))):
        found = schedule.is_due(last_run)
        assert found.is_due is is_due
        assert 0 < found.next <= 60


def test_schedules_of_the_same_rule_are_equal() -> None:
    assert RuleSchedule(Grid(5)) == RuleSchedule(Grid(5))
    assert RuleSchedule(Grid(5)) != RuleSchedule(Grid(6))


@pytest.mark.parametrize(
    ("cron", "said"),
    [("0 0 30 2 *", "is not valid"), ("0 3 * *", "has 4 fields"), ("x 3 * * *", "is not valid")],
)
def test_a_schedule_that_can_never_run_is_refused(cron: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rule_of(Schedule(name="never", cron=cron), WARSAW)
