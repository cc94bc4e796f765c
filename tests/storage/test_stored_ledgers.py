"""The ledgers of counters: stored with their readings, read again, replaced when damaged."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from support.db_samples import START
from support.polled_house import SECOND, House

from esquirell.domain.errors import UnavailableError, UnstorableError
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.services.ledgers import Ledgers
from esquirell.services.saving import Saver
from esquirell.storage.database import Database
from esquirell.storage.maintenance.care import forget
from esquirell.storage.meters import to_ledger, to_state
from esquirell.storage.readings import Readings
from esquirell.storage.spool import Spool


def ledger_at(second: float, *warnings: str, based_on: datetime | None = None) -> Ledger:
    return Ledger(at=START + second * SECOND, based_on=based_on, warnings=warnings)


def reading_with(ledger: Ledger) -> Reading:
    return Reading("main", ledger.at, {"voltage": 230.0}, ledger=ledger)


def test_a_ledger_is_stored_unchanged(house: House) -> None:
    house.count([10_000, 0, 10_010])
    (stored,) = Readings(house.database).ledgers(["main", "unknown"]).values()
    assert stored.counters["energy_import"].total == 100.1


def test_a_confirmed_doubt_of_an_earlier_build_stays_confirmed() -> None:
    doubt = {"sentence": "voltage is too high", "failures": 5, "told": True}
    ledger = to_ledger({"at": START.isoformat(), "doubts": {"range voltage": doubt}})
    assert ledger.doubts["range voltage"].confirmed
    assert to_ledger(to_state(ledger)) == ledger


def test_a_ledger_is_stored_with_its_reading_or_not_at_all(database: Database) -> None:
    readings = Readings(database)
    refused = MeterStatus(None)  # type: ignore[arg-type] # the database refuses it, at the end
    with pytest.raises(UnavailableError):
        readings.add([reading_with(ledger_at(0))], {"main": refused})
    assert readings.ledgers(["main"]) == {}


def fail_next_commit(database: Database, fault: type[BaseException]) -> None:
    due = [fault]

    def fail(_: Connection) -> None:
        if due:
            raise due.pop()

    event.listen(database.engine, "commit", fail)


@pytest.mark.parametrize("fault", [MemoryError, RuntimeError, KeyboardInterrupt])
def test_a_ledger_whose_commit_failed_is_stored_by_the_next_try(
    sqlite: Database, fault: type[BaseException]
) -> None:
    readings, new = Readings(sqlite), reading_with(ledger_at(1, "new"))
    readings.add([reading_with(ledger_at(0, "old"))], {})
    fail_next_commit(sqlite, fault)
    with pytest.raises(fault):
        readings.add([new], {})
    readings.add([new], {})
    assert Readings(sqlite).ledgers(["main"])["main"].warnings == ("new",)


def test_a_reading_that_waited_for_memory_is_stored_with_its_ledger(
    sqlite: Database, tmp_path: Path
) -> None:
    saver = Saver(Readings(sqlite), Spool(tmp_path / "spool.db"))
    saver.save([reading_with(ledger_at(0, "old"))], {})
    fail_next_commit(sqlite, MemoryError)
    assert saver.save([reading_with(ledger_at(1, "new"))], {})
    saver.retry()
    assert saver.waiting == 0
    assert Readings(sqlite).ledgers(["main"])["main"].warnings == ("new",)


def test_a_ledger_that_was_stored_is_not_read_again(sqlite: Database) -> None:
    readings = Readings(sqlite)
    ledger = ledger_at(0, "new")
    readings.add([reading_with(ledger)], {})
    assert readings.ledgers(["main"])["main"] is ledger


def test_the_newest_of_several_ledgers_is_stored(database: Database) -> None:
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
    with pytest.raises(UnavailableError, match="the stored counters of main can't be read"):
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
    ledgers = Ledgers(readings)
    for _ in range(2):
        assert ledgers.prepare(["main", "other", "third"])
    assert ledgers.unknown(["main", "other", "third"]) == {"main", "third"}
    assert caplog.text.count("the stored counters of main can't be read") == 1


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


def test_the_ledger_of_a_forgotten_meter_that_comes_again_is_stored(database: Database) -> None:
    house = House(database)
    house.count([100_000, 100_010, 100_010])
    forget(database, "main")
    house.count([100_010])
    assert "main" in Readings(database).ledgers(["main"])
