import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event, text
from support.db_samples import START, sample, three_phase_values

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.storage.columns import by_whole_quarters
from esquirell.storage.database import Database
from esquirell.storage.maintenance.care import forget
from esquirell.storage.readings import Readings

HOUR = timedelta(hours=1)


@pytest.fixture
def readings(database: Database) -> Readings:
    return Readings(database)


def everything(readings: Readings) -> list[Reading]:
    return list(readings.query(None, START - HOUR, START + 24 * HOUR))


def test_a_reading_is_stored_unchanged(readings: Readings) -> None:
    taken = Reading("main", START, three_phase_values(random.Random(1)))
    readings.add([taken], {})
    assert everything(readings) == [taken]


def test_rarer_keys_are_stored_beside_the_others(readings: Readings) -> None:
    taken = sample("roof", 0, voltage=230.0, active_power_pv1=812.0, voltage_1=229.5)
    readings.add([taken], {})
    assert everything(readings) == [taken]


def test_absent_stays_absent_and_zero_stays_zero(readings: Readings) -> None:
    readings.add([sample("main", 0, active_power=0.0)], {})
    assert everything(readings)[0].values == {"active_power": 0.0}


def test_moments_are_kept_to_the_millisecond_in_utc(readings: Readings) -> None:
    moment = datetime(2026, 3, 29, 1, 0, 0, 999_999, tzinfo=UTC)
    readings.add([Reading("main", moment, {"voltage": 1.0})], {})
    found = next(iter(readings.query(None, moment - HOUR, moment + HOUR)))
    assert found.measured_at == moment.replace(microsecond=999_000)
    assert found.measured_at.tzinfo is UTC


def test_storing_twice_is_harmless(readings: Readings) -> None:
    batch = [sample("main", second) for second in range(5)]
    readings.add(batch, {})
    readings.add([*batch, sample("main", 5)], {})
    assert readings.counts() == {"main": 6}


def test_the_first_reading_of_a_moment_stays(readings: Readings) -> None:
    readings.add([sample("main", 0, voltage=1.0)], {})
    readings.add([sample("main", 0, voltage=2.0)], {})
    assert everything(readings)[0].values == {"voltage": 1.0}


def test_a_forgotten_meter_that_comes_again_gets_no_history_of_another(
    database: Database, readings: Readings
) -> None:
    readings.add([sample("old", 0)], {})
    forget(database, "old")
    # In SQLite it has the id that the other one had.
    readings.add([sample("new", 0)], {})
    readings.add([sample("old", 60)], {"old": MeterStatus(1, "busy")})
    assert [taken.meter for taken in everything(readings)] == ["new", "old"]
    assert readings.statuses()["new"].failures == 0


def test_nothing_to_store_is_no_transaction(sqlite_url: str) -> None:
    # The database has no tables: any statement would fail.
    Readings(Database(sqlite_url)).add([], {})


def test_stored_statuses_have_the_latest_reading_as_last_success(readings: Readings) -> None:
    status = MeterStatus(1, "unreachable", None, ("voltage", "current_a"))
    readings.add([sample("main", 60), sample("main", 0)], {"main": status, "new": MeterStatus()})
    assert readings.statuses() == {
        "main": MeterStatus(1, "unreachable", START + timedelta(seconds=60), status.keys),
        "new": MeterStatus(),
    }


def test_a_changed_status_replaces_the_old_one(readings: Readings) -> None:
    readings.add([], {"main": MeterStatus(3, "busy", None, ("voltage",))})
    readings.add([], {"main": MeterStatus(0, None, None, ("voltage", "current"))})
    assert readings.statuses() == {"main": MeterStatus(0, None, None, ("voltage", "current"))}


def test_a_meter_is_added_by_another_process_meanwhile(database: Database) -> None:
    first, second = Readings(database), Readings(database)
    first.add([sample("main", 0)], {})
    second.add([sample("main", 1), sample("other", 1)], {})
    first.add([sample("main", 2), sample("other", 2)], {})
    assert first.counts() == {"main": 3, "other": 2}


def test_an_unchanged_status_writes_nothing(sqlite: Database) -> None:
    readings = Readings(sqlite)
    status = MeterStatus(0, None, START, ("voltage",))
    readings.add([sample("main", 0)], {"main": status})
    before = _log_bytes(sqlite)
    readings.add([], {"main": status})
    readings.add([sample("main", 0)], {"main": status})
    assert _log_bytes(sqlite) == before
    readings.add([], {"main": MeterStatus(1, "busy", START, ("voltage",))})
    assert _log_bytes(sqlite) != before


def _log_bytes(database: Database) -> bytes:
    assert database.file
    return database.file.with_name(f"{database.file.name}-wal").read_bytes()


def test_a_failed_transaction_stores_nothing_and_the_next_one_works(database: Database) -> None:
    readings = Readings(database)
    readings.add([sample("main", 0)], {})
    refused = MeterStatus(None)  # type: ignore[arg-type] # the database refuses it, at the end
    with pytest.raises(UnavailableError):
        readings.add([sample("new", 1), sample("main", 1)], {"main": refused})
    assert readings.counts() == {"main": 1}
    readings.add([sample("new", 1)], {})
    assert readings.counts() == {"main": 1, "new": 1}


def test_meters_that_were_numbered_again_are_found_again(database: Database) -> None:
    readings = Readings(database)
    readings.add([sample("other", 0), sample("main", 0)], {})
    with database.write() as connection:
        connection.execute(text("DELETE FROM reading"))
        connection.execute(text("DELETE FROM meter"))
    readings.add([sample("main", 1)], {})
    assert readings.counts() == {"main": 1}


def test_a_query_streams_in_time_order_over_pages_and_meters(readings: Readings) -> None:
    batch = [sample(name, second) for second in range(2100) for name in ("b", "a")]
    readings.add(batch, {})
    found = everything(readings)
    assert [(taken.measured_at, taken.meter) for taken in found] == sorted(
        (taken.measured_at, taken.meter) for taken in batch
    )


def test_a_query_is_limited_by_meter_time_and_key(readings: Readings) -> None:
    batch = [
        sample(name, second, voltage=230.0, current=1.0, current_1=2.0)
        for second in range(10)
        for name in ("main", "other")
    ]
    readings.add(batch, {})
    since, until = START + timedelta(seconds=2), START + timedelta(seconds=5)
    found = list(readings.query(["main", "unknown"], since, until, ["voltage", "current_1"]))
    assert [taken.meter for taken in found] == ["main"] * 3
    assert [taken.measured_at for taken in found] == [
        START + timedelta(seconds=second) for second in (2, 3, 4)
    ]
    assert found[0].values == {"voltage": 230.0, "current_1": 2.0}


def test_a_query_holds_no_transaction_open(sqlite: Database) -> None:
    readings = Readings(sqlite)
    readings.add([sample("main", second) for second in range(10)], {})
    stream = readings.query(None, START, START + HOUR)
    next(stream)
    with sqlite.read() as connection:
        busy, *_pages = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
    assert busy == 0
    assert len(list(stream)) == 9


def test_the_latest_reading_of_each_meter(readings: Readings) -> None:
    batch = [sample(name, second, voltage=second) for second in range(3) for name in ("a", "b")]
    readings.add([*batch, sample("a", 9, voltage=9)], {"silent": MeterStatus(1, "no_data")})
    assert readings.latest() == {"a": sample("a", 9, voltage=9), "b": sample("b", 2, voltage=2)}


def test_counts_name_meters_without_readings(readings: Readings) -> None:
    readings.add([sample("main", 0)], {"silent": MeterStatus(1, "no_data")})
    assert readings.counts() == {"main": 1, "silent": 0}


def test_statuses_and_latest_seek_instead_of_reading_all_rows(sqlite: Database) -> None:
    statements: list[str] = []
    event.listen(sqlite.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    Readings(sqlite).statuses()
    Readings(sqlite).latest()
    asked = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(asked) == 2
    with sqlite.read() as connection:
        for statement in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", (1,) * 2)
            assert not [step for *_ids, step in plan if step.startswith("SCAN reading")]


def test_a_three_phase_reading_takes_at_most_300_bytes(sqlite: Database) -> None:
    chance = random.Random(2)
    readings = Readings(sqlite)
    for hour in range(100):
        readings.add(
            [
                Reading("main", START + timedelta(minutes=100 * hour + minute), values)
                for minute in range(100)
                if (values := three_phase_values(chance))
            ],
            {},
        )
    with sqlite.read() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert sqlite.file
    assert readings.counts() == {"main": 10_000}
    assert sqlite.file.stat().st_size / 10_000 <= 300


def test_pages_of_readings_are_cut_between_quarters_of_an_hour() -> None:
    begin = datetime(2026, 11, 22, 12, tzinfo=UTC)
    moments = [begin + timedelta(minutes=minute) for minute in range(0, 60, 4)]
    rows: list[Any] = [SimpleNamespace(measured_at=moment) for moment in moments]
    pages = by_whole_quarters([rows[:1], rows[1:3], rows[3:9], rows[9:]])
    minutes = [[row.measured_at.minute for row in page] for page in pages]
    assert minutes == [[0, 4, 8, 12, 16, 20, 24, 28], [32, 36, 40, 44], [48, 52, 56]]
