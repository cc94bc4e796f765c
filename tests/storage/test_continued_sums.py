"""Sums of energy go on over restarts, resets and exchanged meters."""

import json
from collections.abc import Mapping, Sequence

import pytest
from support.captures import SERIES
from support.fakes import meter
from support.polled_house import House

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.services.poll import TRIAL
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings


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
    house.meter = meter(device_id="third")
    house.count([0, 10])
    assert house.stored() == [5000.0, 5000.1, 5000.1, 5000.2, 5000.2, 5000.3]


def test_turning_a_meter_round_makes_no_energy(house: House) -> None:
    house.poll({"131": 500_000, "139": 100})
    house.meter = meter(invert=True)
    house.poll({"131": 500_010, "139": 110})
    house.poll({"131": 500_010, "139": 130})
    assert house.stored("energy_import") == [5000.0, 5000.0, 5000.2]
    assert house.stored("energy_export") == [1.0, 1.0, 1.0]


def test_an_estimate_continues_over_a_restart(database: Database) -> None:
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


def test_counters_are_withheld_while_their_ledger_is_unknown(database: Database) -> None:
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
