"""Boots with a wrong clock: nothing is lost, nothing invented, and nothing stops for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.db_samples import START
from support.energy import Machine
from support.fakes import Clock, Publisher, Transport, meter
from support.statistics import Workshop

from esquirell import profiles
from esquirell.domain.periods import Calendar
from esquirell.domain.raw_datapoints import RawDatapoints
from esquirell.domain.reading import payload
from esquirell.services.delivery import Delivery
from esquirell.services.poll import Poller
from esquirell.services.reports import Reports
from esquirell.services.saving import Saver
from esquirell.services.timekeeping import Dating, Timekeeper
from esquirell.storage.corrections.store import Corrections
from esquirell.storage.database import Database
from esquirell.storage.history import ReadingHistory
from esquirell.storage.readings import Readings
from esquirell.storage.spool import Spool

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class House:
    """A meter that counts 0.01 kWh a minute, and a computer without a battery for its clock."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.spool = Spool(folder / "spool.db")
        self.machine = Machine("first", 100.0)
        self.publisher = Publisher()
        self.meter = meter(profile="owon_pc321")
        self.true = START
        self.wrong = timedelta(0)
        self.start()

    def start(self) -> None:
        """Start the service, as after kill -9."""
        self.clock = Clock()
        self.transport = Transport()
        corrections = Corrections(self.database, Calendar("UTC"), self.clock)
        history = ReadingHistory(self.database)
        dating = Dating(
            Timekeeper(self.machine),
            self.spool,
            history,
            lambda: corrections,
            self.clock,
            self.machine.uptime_s,
        )
        self.saver = Saver(Readings(self.database), self.spool, dating)
        choices = profiles.Choices()
        delivery = Delivery(choices, self.saver, self.publisher)
        self.poller = Poller(self.transport, choices, delivery, self.clock)

    def boot(self, shows: datetime | None = None) -> None:
        """Start the machine anew, with whatever its clock shows then."""
        self.machine.boot = f"boot at {self.true}"
        self.machine.uptime = 10.0
        self.wrong = shows - self.true if shows else timedelta(0)
        self.start()

    def passes(self, time: timedelta) -> None:
        self.true += time
        self.machine.uptime += time.total_seconds()

    def poll(self, times: int, each: timedelta = MINUTE) -> None:
        for _ in range(times):
            self.passes(each)
            self.clock.now = self.true + self.wrong
            self.transport.scripts["main"] = {"131": self.counted()}
            self.poller.poll([self.meter])

    def counted(self) -> int:
        return 10_000 + (self.true - START) // MINUTE

    def stored(self) -> list[tuple[datetime, float | None]]:
        ever = (START - 30_000 * DAY, START + 30_000 * DAY)
        found = Readings(self.database).query(None, *ever)
        return [(one.measured_at, one.values.get("energy_import")) for one in found]

    def hours(self) -> float:
        shop = Workshop(self.database, "UTC")
        shop.now = self.true
        shop.rollup()
        hours = shop.values("hour", "energy_import")
        return sum(filter(None, hours))


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    house = House(database, tmp_path)
    house.poll(5)
    return house


WRONG = {
    "1970": datetime(1970, 1, 1, tzinfo=UTC),
    "2000": datetime(2000, 1, 1, tzinfo=UTC),
    "a month ago": START - 30 * DAY,
    "in two days": START + 2 * DAY,
    "in ten years": START + 3650 * DAY,
}


@pytest.mark.parametrize("shows", WRONG.values(), ids=WRONG)
def test_what_is_read_while_the_clock_is_wrong_gets_its_time(house: House, shows: datetime) -> None:
    house.boot(shows)
    house.poll(5)
    assert len(house.stored()) == 5
    assert house.saver.waiting == 5
    house.wrong = timedelta(0)
    house.poll(5)
    assert len(house.publisher.readings) == 15
    assert [at for at, _ in house.stored()] == [START + n * MINUTE for n in range(1, 16)]
    assert house.saver.waiting == 0
    assert house.hours() == pytest.approx(0.14)


def test_what_another_process_has_left_is_stored_by_one_that_runs(house: House) -> None:
    running = house.poller, house.clock, house.transport
    house.start()
    house.wrong = -30 * DAY
    house.poll(3)
    assert house.saver.waiting == 3
    house.poller, house.clock, house.transport = running
    house.wrong = timedelta(0)
    house.poll(2)
    assert house.saver.waiting == 0
    assert [at for at, _ in house.stored()] == [START + n * MINUTE for n in range(1, 11)]


@pytest.mark.parametrize("shows", WRONG.values(), ids=WRONG)
def test_also_when_the_machine_is_started_again_before_the_time_is_known(
    house: House, shows: datetime
) -> None:
    house.boot(shows)
    house.poll(5)
    house.passes(10 * MINUTE)
    house.boot(shows + DAY)
    house.poll(5)
    house.passes(10 * MINUTE)
    house.boot()
    house.poll(5)
    times = [at for at, _ in house.stored()]
    # Of the first run it is known that it ended before the second began.
    assert times[5:10] == [times[5] + n * MINUTE for n in range(5)]
    assert START + 10 * MINUTE < times[9] < times[10]
    assert times[15:] == [START + n * MINUTE for n in range(36, 41)]
    assert times == sorted(times)
    assert house.hours() == pytest.approx(0.39)


def test_it_is_published_at_once_without_a_time(house: House) -> None:
    house.boot(datetime(1970, 1, 1, tzinfo=UTC))
    house.poll(2)
    reading, keys = house.publisher.readings[-1]
    shape = payload(reading, keys)
    assert shape["measured_at"] is None
    assert shape["energy_import"] == 100.07
    assert reading.undated
    assert "'clock': 'unset'" in str(shape["diagnostics"])
    _, status = house.publisher.statuses[-1]
    assert status.payload() == {
        "state": "online",
        "reason": None,
        "last_success": None,
        "failures": 0,
    }


def test_what_waits_outlasts_a_kill_between_any_two_steps(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def kill(*_: object) -> None:
        raise KilledError

    house.boot(datetime(1970, 1, 1, tzinfo=UTC))
    house.poll(5)
    house.wrong = timedelta(0)
    for step in ("date", "dated", "forget_dated", "forget_dated"):
        house.start()
        with monkeypatch.context() as patch:
            patch.setattr(house.spool, step, kill)
            with pytest.raises(KilledError):
                house.poll(1)
    house.start()
    house.poll(1)
    assert len(house.stored()) == 5 + 5 + 1
    assert house.hours() == pytest.approx(0.14)
    assert house.spool.count() == 0


def test_after_an_hour_a_clock_that_nothing_keeps_is_believed(house: House) -> None:
    house.boot(START + 2 * DAY)
    house.poll(6, 10 * MINUTE)
    assert len(house.stored()) == 5
    house.poll(2, 10 * MINUTE)
    times = [at for at, _ in house.stored()]
    assert times[5:] == [START + 2 * DAY + n * 10 * MINUTE for n in range(1, 9)]


def test_one_boot_ten_years_ahead_stops_nothing_for_ever(house: House) -> None:
    house.boot(START + 3650 * DAY)
    house.poll(8, 10 * MINUTE)
    assert len(house.stored()) == 13
    house.boot()
    house.poll(8, 10 * MINUTE)
    times = [at for at, _ in house.stored()]
    assert times == [START + n * MINUTE for n in [*range(1, 6), *range(95, 166, 10)]]
    assert house.hours() == pytest.approx(1.64)
    assert house.poller.delivery.statuses.newest() == house.true


def test_a_clock_that_is_kept_sets_the_future_aside_at_once(house: House) -> None:
    house.machine.synchronized = True
    house.true -= 2 * HOUR
    house.start()
    house.poll(1)
    assert [at for at, _ in house.stored()] == [house.true]
    corrections = Corrections(house.database, Calendar("UTC"), house.clock)
    assert corrections.undo("main", ["future"]).readings == 5
    assert len(house.stored()) == 6


def test_without_a_spool_and_without_a_database_what_waits_stays_in_memory(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from esquirell.domain.errors import SpoolError  # noqa: PLC0415 - here alone

    def full(*_: object) -> None:
        raise SpoolError("the disk is full")

    house.boot(datetime(1970, 1, 1, tzinfo=UTC))
    with monkeypatch.context() as patch:
        patch.setattr(house.spool, "add", full)
        house.poll(3)
        assert house.saver.waiting == 3
    house.poll(1)
    assert house.spool.count() == 4
    house.wrong = timedelta(0)
    house.poll(1)
    assert len(house.stored()) == 10


PLUG = {"18": 2174, "19": 5000, "20": 2300}


@pytest.mark.parametrize("slew_s", [0.0, 0.7, -0.7])
def test_what_was_reported_without_a_time_counts_once_when_its_period_ends(
    house: House, slew_s: float
) -> None:
    """The clock is set before the reports of the period are stored, and slewed until then."""
    plug = meter("plug", profile="plug", store_every=3600)
    house.boot(datetime(1970, 1, 1, tzinfo=UTC))
    poller = house.poller
    reports = Reports(
        poller.intake, poller.ledgers, poller.delivery, house.publisher, lambda: house.clock.now
    )
    poller.ledgers.prepare(["plug"])
    for increments in ({"17": 100}, {"17": 100}, {}):
        house.poll(1)
        reports.reported(plug, RawDatapoints(PLUG, push="on", increments=increments))
        reports.run_once()
    house.wrong = timedelta(0)
    house.poll(1)
    assert house.saver.waiting == 0
    house.machine.uptime += slew_s
    house.passes(HOUR)
    house.clock.now = house.true
    reports.store_due()
    house.poll(1)
    assert house.saver.waiting == 0
    ledger = Readings(house.database).ledgers(["plug"])["plug"]
    assert ledger.counters["energy_import"].total == pytest.approx(0.1)
    since, until = house.true - DAY, house.true + DAY
    assert len(list(Readings(house.database).query(["plug"], since, until))) == 3
