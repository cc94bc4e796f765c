import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.db_samples import START
from support.fakes import Clock, Publisher, Spool, Transport, meter
from support.statistics import Workshop

from esquirell import profiles
from esquirell.domain.counters import GONE
from esquirell.domain.errors import UnavailableError, UnstorableError
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.services.delivery import Delivery, Saver
from esquirell.services.judging import Judging, source_of
from esquirell.services.poll import TRIAL, Poller
from esquirell.storage.corrections.store import Corrections
from esquirell.storage.database import Database
from esquirell.storage.maintenance.care import forget
from esquirell.storage.readings import Readings

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SERIES = SHARED / "meters" / "series" / "zndb_gqmmtjclqb7reg5p_esquirell.jsonl"
SECOND = timedelta(seconds=1)


class House:
    """A meter that is polled each minute by processes that come and go."""

    def __init__(self, database: Database, profile: str = "owon_pc321") -> None:
        self.database = database
        self.clock = Clock()
        self.publisher = Publisher()
        self.meter = meter(profile=profile)
        self.restart()

    def restart(self) -> None:
        """Begin anew as after kill -9: only the database remembers."""
        self.transport = Transport()
        self.poller = self.another_process()

    def another_process(self) -> Poller:
        return self.poller_with(Readings(self.database))

    def poller_with(self, store: Readings) -> Poller:
        saver = Saver(store, Spool())
        delivery = Delivery(profiles.Choices(), saver, self.publisher)
        return Poller(self.transport, profiles.Choices(), delivery, self.clock)

    def poll(self, dps: Mapping[str, int], poller: Poller | None = None) -> None:
        self.transport.scripts["main"] = dps
        self.clock.advance(60)
        (poller or self.poller).poll([self.meter])

    def count(self, raws: Sequence[int]) -> None:
        for raw in raws:
            self.poll({"131": raw})

    def stored(self, key: str = "energy_import") -> list[float | None]:
        begin, end = START - timedelta(days=1), self.clock.now + SECOND
        found = Readings(self.database).query(None, begin, end)
        return [reading.values.get(key) for reading in found]

    def published(self, key: str = "energy_import") -> list[float | None]:
        return [reading.values.get(key) for reading, _ in self.publisher.readings]


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


def ledger_at(second: float, *warnings: str, based_on: datetime | None = None) -> Ledger:
    return Ledger(at=START + second * SECOND, based_on=based_on, warnings=warnings)


def reading_with(ledger: Ledger) -> Reading:
    return Reading("main", ledger.at, {"voltage": 230.0}, ledger=ledger)


def test_a_ledger_comes_back_as_it_was(house: House) -> None:
    house.count([10_000, 0, 10_010])
    (stored,) = Readings(house.database).ledgers(["main", "unknown"]).values()
    assert stored.counters["energy_import"].total == 100.1


def test_a_ledger_is_stored_with_its_reading_or_not_at_all(database: Database) -> None:
    readings = Readings(database)
    refused = MeterStatus(None)  # type: ignore[arg-type] # the database refuses it, at the end
    with pytest.raises(UnavailableError):
        readings.add([reading_with(ledger_at(0))], {"main": refused})
    assert readings.ledgers(["main"]) == {}


def test_of_several_readings_the_newest_ledger_stays(database: Database) -> None:
    readings = Readings(database)
    readings.add([reading_with(ledger_at(2, "new")), reading_with(ledger_at(1, "old"))], {})
    readings.add([reading_with(ledger_at(1, "late"))], {})
    assert readings.ledgers(["main"])["main"].warnings == ("new",)


def test_after_the_clock_was_set_back_the_next_ledger_replaces_the_last(
    database: Database,
) -> None:
    readings = Readings(database)
    first = ledger_at(3600, "before")
    readings.add([reading_with(first)], {})
    readings.add([reading_with(ledger_at(0, "after", based_on=first.at))], {})
    assert readings.ledgers(["main"])["main"].warnings == ("after",)


def test_nothing_is_written_where_only_the_time_went_on(sqlite: Database) -> None:
    house = House(sqlite)
    house.count([10_000, 10_000])
    at = Readings(sqlite).ledgers(["main"])["main"].at
    house.count([10_000, 10_000])
    assert Readings(sqlite).ledgers(["main"])["main"].at == at
    house.count([10_001])
    assert Readings(sqlite).ledgers(["main"])["main"].at > at


def test_a_damaged_ledger_is_named_and_keeps_no_reading_from_being_stored(
    database: Database,
) -> None:
    readings = Readings(database)
    readings.add([reading_with(ledger_at(0))], {})
    with database.write() as connection:
        connection.execute(text("""UPDATE ledger SET state = '{"at": "never"}'"""))
    with pytest.raises(UnavailableError, match="the counters of main can't be read"):
        readings.ledgers(["main"])
    readings.add([reading_with(ledger_at(1))], {})
    assert readings.ledgers(["main"])["main"].at == START + SECOND


def test_a_damaged_ledger_holds_back_the_counters_of_its_meter_alone(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    readings = Readings(database)
    ledger = ledger_at(0)
    for name in ("main", "other", "third"):
        readings.add([replace(reading_with(ledger), meter=name)], {})
    damage = text(
        """UPDATE ledger SET state = '"x"'
        WHERE meter_id IN (SELECT id FROM meter WHERE name <> 'other')"""
    )
    with database.write() as connection:
        connection.execute(damage)
    judging = Judging(readings)
    for _ in range(2):
        assert judging.prepare(["main", "other", "third"])
    assert judging.unknown(["main", "other", "third"]) == {"main", "third"}
    assert caplog.text.count("the counters of main can't be read") == 1


def test_a_number_that_no_database_holds_is_to_blame_itself(database: Database) -> None:
    readings = Readings(database)
    taken = Reading("main", START, {"voltage": 230.0})
    no_number: Any = {}
    with pytest.raises(UnstorableError):
        readings.add([replace(taken, values={"current": no_number})], {})
    with pytest.raises(UnstorableError):
        readings.add([replace(taken, values={"current_1": no_number.get})], {})
    readings.add([taken], {})


@pytest.mark.parametrize("keys", ["{", "7", "null"])
def test_keys_that_are_damaged_hold_up_nothing(sqlite: Database, keys: str) -> None:
    readings = Readings(sqlite)
    readings.add([reading_with(ledger_at(0))], {"main": MeterStatus(keys=("energy_import",))})
    with sqlite.write() as connection:
        connection.execute(text("UPDATE meter SET keys = :keys"), {"keys": keys})
    assert readings.statuses()["main"].keys == ()
    readings.add([reading_with(ledger_at(1))], {"main": MeterStatus(keys=("energy_import",))})
    assert readings.statuses()["main"].keys == ("energy_import",)


@pytest.mark.parametrize("restarts_before", range(1, 8))
def test_a_restart_amid_a_reset_changes_no_sum(house: House, restarts_before: int) -> None:
    raws = [500_000, 500_010, 5, 10, 15, 20, 30, 40]
    house.count(raws[:restarts_before])
    house.restart()
    house.count(raws[restarts_before:])
    assert house.stored() == [5000.0, 5000.1, None, None, 5000.25, 5000.3, 5000.4, 5000.5]
    assert house.published() == house.stored()


def test_a_first_value_that_was_no_counter_is_taken_out_again(house: House) -> None:
    house.count([0, 106421, 106421])
    assert house.stored() == [0.0, None, None]
    house.restart()
    house.count([106421, 106422])
    assert house.stored() == [None, None, None, 1064.21, 1064.22]


def test_workers_that_take_turns_continue_the_same_sum(house: House) -> None:
    other = house.another_process()
    raws = [500_000, 500_010, 5, 10, 15, 20, 30, 40]
    for number, raw in enumerate(raws):
        house.poll({"131": raw}, other if number % 2 else house.poller)
    assert house.stored() == [5000.0, 5000.1, None, None, 5000.25, 5000.3, 5000.4, 5000.5]


def test_an_exchanged_meter_continues_the_sums_of_its_name(house: House) -> None:
    house.count([500_000, 500_010])
    house.meter = meter(device_id="another")
    house.restart()
    house.count([900_000, 900_010])
    house.meter = meter(device_id="a third")
    house.count([0, 10])
    assert house.stored() == [5000.0, 5000.1, 5000.1, 5000.2, 5000.2, 5000.3]


def test_turning_a_meter_round_makes_no_energy(house: House) -> None:
    house.poll({"131": 500_000, "139": 100})
    house.meter = meter(invert=True)
    house.poll({"131": 500_010, "139": 110})
    house.poll({"131": 500_010, "139": 130})
    assert house.stored("energy_import") == [5000.0, 5000.0, 5000.2]
    assert house.stored("energy_export") == [1.0, 1.0, 1.0]


def test_an_estimate_goes_on_over_a_restart(database: Database) -> None:
    house = House(database, "plug")
    for minute in range(31):
        house.poll({"19": 12_000})
        if minute == 15:
            house.restart()
    assert house.stored()[-1] == pytest.approx(0.6, abs=1e-6)
    assert house.publisher.readings[-1][0].diagnostics["energy_source"] == "estimated"
    assert "energy_import" in house.publisher.readings[-1][1]


def test_a_trial_counts_nothing_twice(database: Database) -> None:
    house = House(database, "plug")
    for minute in range(31):
        house.poll({"19": 12_000})
        if minute % 3 == 0:
            house.clock.advance(10)
            house.poller.poll([house.meter], TRIAL)
            house.clock.advance(-10)
    assert house.stored()[-1] == pytest.approx(0.6, abs=1e-4)


class Unsteady(Readings):
    """A store whose database can be away."""

    away = False

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        if self.away:
            raise UnavailableError("the database is unreachable")
        super().add(readings, statuses)

    def ledgers(self, names: object) -> dict[str, Ledger]:
        if self.away:
            raise UnavailableError("the database is unreachable")
        return super().ledgers(["main"] if names else [])


def test_a_reset_while_the_database_is_away_is_stored_in_its_order(database: Database) -> None:
    house, store = House(database), Unsteady(database)
    house.poller = house.poller_with(store)
    house.count([500_000, 500_010])
    store.away = True
    house.count([5, 10, 15, 20])
    store.away = False
    house.count([30])
    assert house.stored() == [5000.0, 5000.1, None, None, 5000.25, 5000.3, 5000.4]
    house.restart()
    house.count([40])
    assert house.stored()[-1] == 5000.5


def test_counters_are_held_back_while_nothing_is_known_of_them(database: Database) -> None:
    house, store = House(database), Unsteady(database)
    house.count([500_000, 500_000, 10, 20, 30])
    store.away = True
    house.poller = house.poller_with(store)
    house.count([40])
    assert house.published()[-1] is None
    assert house.publisher.readings[-1][0].diagnostics["raw_values"] == {"energy_import": 0.4}
    store.away = False
    house.count([50])
    assert house.stored()[1:] == [5000.0, None, None, 5000.3, None, 5000.5]


@pytest.mark.skipif(not SERIES.exists(), reason="the recorded series is not here")
def test_the_recorded_series_counts_as_the_meter_did(database: Database) -> None:
    house = House(database)
    rows = [json.loads(line) for line in SERIES.read_text().splitlines()]
    for number, row in enumerate(rows):
        house.poll(row["dps"])
        if number % 40 == 20:
            house.restart()
    for dp, key in (("131", "energy_import"), ("139", "energy_export"), ("126", "energy_import_c")):
        counted = [None if row["partial"] else row["dps"][dp] / 100 for row in rows]
        assert house.stored(key) == counted
    assert 0.0 not in house.stored("voltage_a")


class TestOffsets:
    """Offsets are forgotten beside a service that goes on."""

    def test_the_sum_goes_on_from_the_devices_own_counter(self, house: House) -> None:
        corrections = Corrections(house.database, Calendar("UTC"), house.clock)
        house.count([0, 0, 106421, 106421, 106421, 106422])
        assert house.stored()[-1] == 0.01
        assert corrections.forget_offsets("main", dry_run=True).sums == {
            "energy_import": (0.01, 1064.22)
        }
        house.count([106423])
        assert house.stored()[-1] == 0.02
        done = corrections.forget_offsets("main")
        assert done.sums == {"energy_import": (0.02, 1064.23)}
        house.count([106423, 106424, 106430])
        assert house.stored()[-3:] == [1064.23, 1064.24, 1064.3]
        assert house.published() == house.stored()
        assert corrections.forget_offsets("main").is_empty
        shop = Workshop(house.database, "UTC")
        shop.rollup()
        assert shop.values("hour", "energy_import") == [pytest.approx(0.02 + 0.07)]
        house.restart()
        house.count([106431])
        assert house.stored()[-1] == 1064.31

    def test_that_is_undone(self, house: House) -> None:
        corrections = Corrections(house.database, Calendar("UTC"), house.clock)
        house.count([0, 0, 106421, 106421, 106421, 106422])
        corrections.forget_offsets("main")
        house.count([106423])
        assert corrections.undo("main", ["counter"], dry_run=True).sums == {
            "energy_import": (1064.23, 0.02)
        }
        assert corrections.undo("main", ["counter"]).sums == {"energy_import": (1064.23, 0.02)}
        house.count([106424, 106425])
        assert house.stored()[-2:] == [0.03, 0.04]
        shop = Workshop(house.database, "UTC")
        shop.rollup()
        assert shop.values("hour", "energy_import") == [pytest.approx(0.01 + 0.01)]

    def test_a_reading_that_was_under_way_brings_no_offset_back(self, house: House) -> None:
        corrections = Corrections(house.database, Calendar("UTC"), house.clock)
        house.count([0, 0, 106421, 106421, 106421, 106422])
        judging = house.poller.judging
        judging.prepare(["main"])
        corrections.forget_offsets("main")
        late = Reading("main", house.clock.now + SECOND, {"energy_import": 1064.23})
        judged = judging.judge(late, house.meter, ())
        Readings(house.database).add([judged], {})
        house.count([106424])
        assert house.stored()[-1] == 1064.24


class TestExchange:
    """Another device takes the place of one, beside a service that goes on."""

    @pytest.mark.parametrize(
        ("counted", "handed_to", "total"),
        [
            # The same device, paired again: what it counted meanwhile is part of the sum.
            (5060.0, "the new one", 5060.0),
            # Another one, whose counter happens to stand where that of the old one did.
            (5010.0, GONE, 5000.0),
            # Nobody said which: by its first reading.
            (5060.0, None, 5000.0),
            (5010.0, None, 5010.0),
        ],
    )
    def test_its_counter_continues_or_begins_anew(
        self, house: House, counted: float, handed_to: str | None, total: float
    ) -> None:
        house.count([500_000, 500_000])
        new = house.meter.model_copy(update={"device_id": "bfnew"})
        if handed_to is not None:
            source = handed_to and source_of(new.device_id, new.invert)
            Corrections(house.database, Calendar("UTC"), house.clock).hand_over("main", source)
        judging = house.poller.judging
        judging.prepare(["main"])
        late = Reading("main", house.clock.now + timedelta(days=10), {"energy_import": counted})
        assert judging.judge(late, new, ()).values["energy_import"] == total

    def test_a_meter_of_which_nothing_is_stored_has_nothing_to_hand_over(
        self, house: House
    ) -> None:
        Corrections(house.database, Calendar("UTC"), house.clock).hand_over("attic", GONE)


def test_the_ledger_of_a_forgotten_meter_that_comes_again_is_stored(database: Database) -> None:
    house = House(database)
    house.count([100_000, 100_010, 100_010])
    forget(database, "main")
    house.count([100_010])
    assert "main" in Readings(database).ledgers(["main"])
