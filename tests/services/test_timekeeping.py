import logging
from datetime import UTC, datetime, timedelta

import pytest

from esquirell.domain.clock import RELEASED
from esquirell.domain.undated import Mark
from esquirell.services.timekeeping import Timekeeper

NEWEST = datetime(2027, 11, 22, 10, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Machine:
    def __init__(self, uptime_s: float = 20.0) -> None:
        self.boot = "this run"
        self.uptime = uptime_s
        self.synchronized = False
        self.own_clock = True
        self.battery = False

    def uptime_s(self) -> float:
        return self.uptime

    def is_synchronized(self) -> bool:
        return self.synchronized

    def is_own_clock(self) -> bool:
        return self.own_clock

    def keeps_time(self) -> bool:
        return self.battery


class Computer:
    """A machine whose clock runs on with it, and can be set."""

    def __init__(self, now: datetime, uptime_s: float = 20.0) -> None:
        self.machine = Machine(uptime_s)
        self.now = now
        self.newest: datetime | None = NEWEST
        self.timekeeper = Timekeeper(self.machine)

    def runs(self, time: timedelta) -> None:
        self.now += time
        self.machine.uptime += time.total_seconds()

    def trusts(self) -> bool:
        return self.timekeeper.trusts(self.now, lambda: self.newest)


@pytest.mark.parametrize(
    "now", [NEWEST, NEWEST + MINUTE, NEWEST - HOUR, NEWEST + DAY, NEWEST + 23 * HOUR]
)
def test_a_clock_close_to_the_newest_reading_is_believed(now: datetime) -> None:
    assert Computer(now).trusts()


@pytest.mark.parametrize(
    "now",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2000, 1, 1, tzinfo=UTC),
        RELEASED - MINUTE,
        NEWEST - 3 * HOUR,
        NEWEST - 30 * DAY,
        NEWEST + DAY + MINUTE,
        NEWEST + 3650 * DAY,
    ],
)
def test_a_different_clock_is_doubted_until_confirmed(now: datetime) -> None:
    computer = Computer(now)
    assert not computer.trusts()
    assert computer.timekeeper.doubts
    computer.runs(59 * MINUTE)
    assert not computer.trusts()
    computer.runs(2 * MINUTE)
    assert computer.trusts() == (computer.now >= RELEASED)


def test_without_stored_readings_the_clock_is_checked_against_the_release() -> None:
    computer = Computer(datetime(2040, 1, 1, tzinfo=UTC))
    computer.newest = None
    assert computer.trusts()
    computer = Computer(datetime(2020, 1, 1, tzinfo=UTC))
    computer.newest = None
    assert not computer.trusts()


def test_a_synchronized_clock_is_believed_but_never_before_the_release() -> None:
    for now in (NEWEST - 30 * DAY, NEWEST + 30 * DAY):
        computer = Computer(now)
        computer.machine.synchronized = True
        assert computer.trusts()
    computer = Computer(datetime(1970, 1, 1, tzinfo=UTC))
    computer.machine.synchronized = True
    assert not computer.trusts()


def test_a_clock_that_is_put_right_is_believed_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    computer = Computer(datetime(1970, 1, 1, tzinfo=UTC))
    assert not computer.trusts()
    computer.runs(MINUTE)
    assert not computer.trusts()
    computer.now = NEWEST + HOUR
    assert computer.trusts()
    assert not computer.timekeeper.doubts
    doubted, believed = (record.getMessage() for record in caplog.records)
    assert doubted == (
        "the clock shows 1970-01-01T00:00:00.000Z, but that is before this version was built: "
        "readings wait until the time is known"
    )
    assert believed == "the clock is right: it is 2027-11-22T11:15:00.000Z"


def test_once_believed_a_clock_is_so_until_it_is_set() -> None:
    computer = Computer(NEWEST)
    assert computer.trusts()
    computer.runs(40 * DAY)
    assert computer.trusts()
    computer.newest = computer.now
    computer.now -= 5 * HOUR
    assert not computer.trusts()
    assert not computer.timekeeper.overruled
    computer.runs(61 * MINUTE)
    assert computer.trusts()
    assert computer.timekeeper.overruled


def test_the_hour_begins_again_when_the_clock_is_set_again() -> None:
    computer = Computer(NEWEST - DAY)
    assert not computer.trusts()
    computer.runs(59 * MINUTE)
    computer.now -= DAY
    assert not computer.trusts()
    computer.runs(59 * MINUTE)
    assert not computer.trusts()
    computer.runs(2 * MINUTE)
    assert computer.trusts()


def test_another_process_continues_the_hour() -> None:
    computer = Computer(NEWEST - DAY, uptime_s=7200)
    an_hour_ago = Mark(1, "this run", 3500.0, (computer.now - timedelta(seconds=3700)).timestamp())
    computer.timekeeper.remember(computer.now, an_hour_ago)
    assert computer.trusts()
    for other in (an_hour_ago._replace(boot="other"), an_hour_ago._replace(shown=0.0)):
        computer = Computer(NEWEST - DAY, uptime_s=7200)
        computer.timekeeper.remember(computer.now, other)
        assert not computer.trusts()


def test_where_the_machine_ran_on_for_long_a_pause_of_days_is_no_doubt() -> None:
    assert Computer(NEWEST + 3 * DAY, uptime_s=3601).trusts()
    computer = Computer(NEWEST + 3 * DAY, uptime_s=3601)
    computer.machine.own_clock = False
    assert not computer.trusts()
    assert not Computer(NEWEST - 3 * DAY, uptime_s=3601).trusts()
    with_battery = Computer(NEWEST + 3 * DAY)
    with_battery.machine.battery = True
    assert with_battery.trusts()
    jumped = Computer(NEWEST, uptime_s=7200)
    jumped.machine.battery = True
    assert jumped.trusts()
    jumped.now += 3 * DAY
    assert not jumped.trusts()
