"""Reports on their way: published at once, stored now and then."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.fakes import Clock, Publisher, ReadingStore, Spool, Transport, meter

from esquirell import profiles
from esquirell.domain.errors import MeterUnreachableError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import RawDatapoints
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.services.delivery import Delivery
from esquirell.services.poll import Poller
from esquirell.services.reports import Reports
from esquirell.services.saving import Saver

GONE = MeterUnreachableError("no_data", "main is connected but silent")


class Bench:
    def __init__(self, store: ReadingStore | None = None) -> None:
        self.transport = Transport()
        self.store = store or ReadingStore()
        self.publisher = Publisher()
        self.clock = Clock()
        choices = profiles.Choices()
        delivery = Delivery(choices, Saver(self.store, Spool()), self.publisher)
        self.poller = Poller(self.transport, choices, delivery, self.clock)
        self.uptime_s = 100.0
        self.reports = Reports(
            self.poller.intake,
            self.poller.ledgers,
            delivery,
            self.publisher,
            self.clock,
            lambda: self.uptime_s,
        )

    def report(self, one: Meter, dps: Mapping[str, Any]) -> None:
        self.reports.reported(one, RawDatapoints(dps, push="on"))
        self.reports.run_once()

    def stored(self) -> list[datetime]:
        return sorted(at for _, at in self.store.rows)


class CountingStore(ReadingStore):
    def __init__(self) -> None:
        super().__init__()
        self.asked: list[set[str]] = []

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        self.asked.append(set(names))
        return super().ledgers(names)


def test_a_database_that_is_away_is_asked_about_a_meter_every_ten_seconds() -> None:
    """A meter may report every second, and each question may take as long as a timeout."""
    store = CountingStore()
    bench = Bench(store)
    store.away = True
    for uptime_s in (100.0, 101.0, 109.9, 110.0, 119.0):
        bench.uptime_s = uptime_s
        bench.report(meter(), {"101": 2360})
    assert store.asked == [{"main"}, {"main"}]
    bench.report(meter("yard"), {"101": 2360})
    assert store.asked[2:] == [{"yard"}]
    store.away = False
    bench.uptime_s = 130.0
    bench.report(meter(), {"101": 2360})
    bench.uptime_s = 150.0
    bench.report(meter(), {"101": 2360})
    assert store.asked[3:] == [{"main"}]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_report_is_published_at_once_and_not_stored(bench: Bench) -> None:
    bench.report(meter(), {"101": 2360})
    ((reading, _),) = bench.publisher.readings
    assert reading.values == {"voltage_a": 236.0}
    assert reading.diagnostics == {"push": "on", "oldest_s": 0}
    assert bench.publisher.statuses[-1][1].state == "online"
    assert bench.store.rows == {}


def test_the_last_report_of_each_period_is_stored(bench: Bench) -> None:
    main = meter(store_every=60)
    for second in range(150):
        bench.report(main, {"101": 2300 + second})
        bench.reports.store_due()
        bench.clock.advance(1)
    begin = bench.clock.now - timedelta(seconds=150)
    assert bench.stored() == [begin + timedelta(seconds=59), begin + timedelta(seconds=119)]
    bench.reports.flush()
    assert bench.stored()[-1] == begin + timedelta(seconds=149)


def test_every_round_publishes_readings_that_were_held_back(bench: Bench) -> None:
    bench.reports.store_due()
    bench.reports.store_due()
    assert bench.publisher.looked == 2


def test_a_poll_counts_for_its_period(bench: Bench) -> None:
    main = meter(store_every=60)
    bench.transport.scripts["main"] = {"101": 2360}
    for second in range(120):
        if second == 10:
            bench.poller.poll([main])
        bench.report(main, {"101": 2300})
        bench.reports.store_due()
        bench.clock.advance(1)
    bench.reports.store_due()
    begin = bench.clock.now - timedelta(seconds=120)
    assert bench.stored() == [begin + timedelta(seconds=10), begin + timedelta(seconds=119)]


def test_unstored_reports_count_for_minimum_and_maximum(bench: Bench) -> None:
    main = meter(store_every=60)
    bench.transport.scripts["main"] = {"101": 2360}
    for tenths in (2360, 2420, 2290, 2360):
        bench.report(main, {"101": tenths})
        bench.clock.advance(1)
    bench.poller.poll([main])
    (stored,) = bench.store.rows.values()
    assert stored.ranges == {"voltage_a": (229.0, 242.0)}
    assert all(reading.ranges == {} for reading, _ in bench.publisher.readings)


def test_a_clock_that_is_set_back_stops_no_publishing(bench: Bench) -> None:
    bench.report(meter(), {"101": 2360})
    bench.clock.advance(-86_400)
    bench.report(meter(), {"101": 2370})
    assert [one.values["voltage_a"] for one, _ in bench.publisher.readings] == [236.0, 237.0]


def test_each_report_is_stored_when_that_is_asked_for(bench: Bench) -> None:
    main = meter(store_every=0)
    for _ in range(5):
        for _ in range(3):
            bench.report(main, {"101": 2300})
            bench.clock.advance(0.25)
        bench.reports.store_due()
    bench.reports.flush()
    assert len(bench.stored()) == 15


def test_all_that_is_due_is_stored_in_one_transaction(bench: Bench) -> None:
    house = [meter(f"m{number}") for number in range(20)]
    for one in house:
        bench.report(one, {"101": 2300})
    bench.clock.advance(60)
    bench.reports.store_due()
    assert len(bench.store.rows) == 20
    # The first one, which is empty, looks whether an earlier process left something.
    assert bench.store.transactions == 2


def test_a_report_that_measures_nothing_is_no_reading(bench: Bench) -> None:
    bench.report(meter(profile="auto"), {"1": True})
    assert bench.publisher.readings == []
    assert bench.publisher.statuses == []


def test_a_meter_that_reports_is_not_offline_because_it_answers_nothing(bench: Bench) -> None:
    bench.transport.scripts["main"] = GONE
    for _ in range(3):
        bench.report(meter(), {"101": 2360})
        outcome = bench.poller.poll([meter()])["main"]
        bench.clock.advance(30)
    assert outcome.payload()["code"] == "no_data"
    assert bench.publisher.statuses[-1][1].failures == 0
    bench.clock.advance(60)
    for _ in range(2):
        bench.poller.poll([meter()])
    assert bench.publisher.statuses[-1][1].state == "offline"


def test_an_older_state_never_follows_a_newer_one(bench: Bench) -> None:
    """A poll is stored before it is published; a report that comes meanwhile is faster."""
    main = meter()
    bench.transport.scripts["main"] = {"101": 2360}
    add = bench.store.add

    def slowly(readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        if readings:
            bench.clock.advance(1)
            bench.report(main, {"101": 2400})
        add(readings, statuses)

    bench.store.add = slowly  # type: ignore[method-assign]
    bench.poller.poll([main])
    assert [one.values["voltage_a"] for one, _ in bench.publisher.readings] == [240.0]


def test_energy_is_counted_on_through_reports_that_are_not_stored(bench: Bench) -> None:
    main = meter()
    for number in range(30):
        bench.report(main, {"131": 100_000 + number})
        bench.clock.advance(10)
    bench.reports.flush()
    published = [one.values["energy_import"] for one, _ in bench.publisher.readings]
    assert published == [round(1000 + number / 100, 2) for number in range(30)]
    last = max(bench.store.rows.values(), key=lambda one: one.measured_at)
    assert last.ledger is not None
    assert last.ledger.counters["energy_import"].total == 1000.29


def test_a_counter_that_begins_again_in_a_report_does_so_in_the_next_stored_reading(
    bench: Bench,
) -> None:
    main = meter(store_every=60)
    begins: frozenset[str] = frozenset()
    for number in [*[100_000] * 3, *range(12)]:
        bench.report(main, {"131": number})
        begins |= bench.publisher.readings[-1][0].begins
        bench.clock.advance(20)
        bench.reports.store_due()
    bench.reports.flush()
    stored: frozenset[str] = frozenset().union(*(row.begins for row in bench.store.rows.values()))
    assert stored == begins


def test_polls_that_follow_each_other_quickly_all_count_for_their_period(bench: Bench) -> None:
    main = meter(store_every=60)
    bench.transport.scripts["main"] = {"101": 2300}
    bench.clock.now = bench.clock.now.replace(second=1)
    bench.poller.poll([main])
    bench.clock.advance(30)
    bench.report(main, {"101": 2310})
    bench.clock.advance(29.05)
    bench.poller.poll([main])
    bench.reports.store_due()
    assert len(bench.store.rows) == 2


PLUG = {"1": True, "18": 2174, "19": 5000, "20": 2300}


def add(bench: Bench, one: Meter, increment: int, *, interrupted: bool = False) -> None:
    added = RawDatapoints(PLUG, push="on", increments={"17": increment}, interrupted=interrupted)
    bench.reports.reported(one, added)
    bench.reports.run_once()
    bench.clock.advance(60)


def test_what_a_meter_added_is_stored_before_it_is_published(bench: Bench) -> None:
    plug = meter(profile="plug", store_every=3600)
    stored: list[float] = []

    def publish(reading: Reading, keys: tuple[str, ...]) -> None:
        del keys
        ledger = bench.store.ledger_of["main"]
        assert ledger.counters["energy_import"].total == reading.values["energy_import"]
        stored.append(reading.values["energy_import"])

    bench.publisher.reading = publish  # type: ignore[method-assign]
    for increment in (100, 100, 50):
        add(bench, plug, increment)
    assert stored == [0.0, 0.1, 0.15]


def test_reports_during_shutdown_count_as_well(bench: Bench) -> None:
    plug = meter(profile="plug", store_every=3600)
    for increment in (100, 100):
        add(bench, plug, increment)
    # After the last round, before the line is closed.
    bench.reports.reported(plug, RawDatapoints(PLUG, push="on", increments={"17": 50}))
    bench.reports.close()
    assert bench.publisher.readings[-1][0].values["energy_import"] == 0.15
    assert bench.store.ledger_of["main"].counters["energy_import"].total == 0.15
    assert max(bench.stored()) == bench.clock.now


def test_another_process_continues_the_sum_of_increments(bench: Bench) -> None:
    plug = meter(profile="plug", store_every=3600)
    for increment in (100, 100):
        add(bench, plug, increment)
    heir = Bench()
    heir.clock = bench.clock
    heir.store.ledger_of = bench.store.ledger_of
    add(heir, plug, 30, interrupted=True)
    last, _ = heir.publisher.readings[-1]
    assert last.values["energy_import"] == 0.13
    assert last.diagnostics["energy_source"] == "increments"


def test_what_a_meter_added_while_the_database_was_away_at_the_start_is_not_lost(
    bench: Bench,
) -> None:
    plug = meter(profile="plug")
    for increment in (100, 100):
        add(bench, plug, increment)
    heir = Bench()
    heir.clock = bench.clock
    heir.store.away = True
    heir.store.ledger_of = bench.store.ledger_of
    for increment in (20, 30):
        add(heir, plug, increment)
    assert all("energy_import" not in one.values for one, _ in heir.publisher.readings)
    heir.store.away = False
    heir.poller.ledgers.prepare(["main"])
    add(heir, plug, 50)
    assert heir.publisher.readings[-1][0].values["energy_import"] == 0.2


@pytest.mark.parametrize("fields", [{"push": False}, {"invert": True}])
def test_a_meter_that_is_not_listened_to_has_its_energy_estimated(
    bench: Bench, fields: dict[str, Any]
) -> None:
    plug = meter(profile="plug", **fields)
    for increment in (100, 100):
        add(bench, plug, increment)
    assert bench.publisher.readings[-1][0].diagnostics["energy_source"] == "estimated"


def test_a_meter_that_was_removed_and_forgotten_begins_again(bench: Bench) -> None:
    plug = meter(profile="plug", store_every=3600)
    for increment in (100, 100):
        add(bench, plug, increment)
    # As `meters remove --forget` does, in the running process.
    bench.poller.forget(["main"])
    bench.store.ledger_of.clear()
    bench.store.rows.clear()
    bench.reports.flush()
    assert bench.store.rows == {}
    bench.poller.ledgers.prepare(["main"])
    add(bench, plug, 30)
    last, _ = bench.publisher.readings[-1]
    assert last.values["energy_import"] == 0.0


def test_a_meter_that_was_removed_and_added_again_continues(bench: Bench) -> None:
    plug = meter(profile="plug", store_every=3600)
    for increment in (100, 100):
        add(bench, plug, increment)
    bench.poller.forget(["main"])
    bench.poller.ledgers.prepare(["main"])
    add(bench, plug, 30)
    last, _ = bench.publisher.readings[-1]
    assert last.values["energy_import"] == 0.13
