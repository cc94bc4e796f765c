"""What is asked and stored at each poll, which passes SQLAlchemy by on SQLite."""

import sys
from datetime import UTC, datetime, timedelta
from types import FrameType

import pytest
from sqlalchemy import bindparam, select

from esquirell.domain.counters import Counter
from esquirell.domain.errors import UnstorableError
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.storage import direct, meters
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings
from esquirell.storage.tables import Instant, insert_new, meter, reading

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
# 302 of one meter with SQLAlchemy 2.1 and Python 3.11, of which the two connections are 150; it was
# 712 when SQLAlchemy ran each statement.
MOST_CALLS = 400


def poll(readings: Readings, number: int) -> None:
    at = NOON + timedelta(minutes=number)
    before = readings.ledgers(["main"]).get("main")
    counters = {"energy_import": Counter(1.0 + number, at, at, "meter")}
    ledger = Ledger(at, before.at if before else None, "process", counters)
    values = {"energy_import": 1.0 + number, "voltage_a": 230.0}
    status = MeterStatus(0, None, at, tuple(values))
    readings.add([Reading("main", at, values, ledger=ledger, holds_s=180)], {"main": status})


def test_storing_a_reading_takes_few_calls(sqlite: Database) -> None:
    readings, calls = Readings(sqlite), 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    for number in range(5):
        poll(readings, number)
    sys.setprofile(count)
    try:
        poll(readings, 5)
    finally:
        sys.setprofile(None)
    assert len(list(readings.query(None, NOON, NOON + timedelta(days=1)))) == 6
    assert calls <= MOST_CALLS


def test_queries_and_rows_are_the_same_on_both_databases(database: Database) -> None:
    names = ["barn", "flat-1", "flat-2"]
    named = select(meter.c.name).where(meter.c.name.in_(bindparam("names", expanding=True)))
    later = select(reading.c.meter_id).where(
        reading.c.measured_at > bindparam("moment", type_=Instant),
        reading.c.measured_at > bindparam("moment", type_=Instant),
    )
    with database.write() as connection:
        ids = meters.ids_of(connection, [*names, "other"])
        write = insert_new(connection.dialect.name, reading)
        empty = dict.fromkeys(reading.columns.keys())
        rows = [
            list((empty | {"meter_id": meter_id, "measured_at": NOON} | more).values())
            for meter_id in ids.values()
            for more in ({"voltage": 230.0, "extra": {"energy_import_1": 2.5}}, {"voltage": 1.0})
        ]
        direct.insert(connection, write, rows)
        for count in range(1, 4):
            found = direct.select_by_names(connection, named, names[:count])
            assert sorted(name for (name,) in found) == names[:count]
        found = direct.select_by_moment(connection, later, NOON - timedelta(milliseconds=1))
        assert {number for (number,) in found} == set(ids.values())
        assert not direct.select_by_moment(connection, later, NOON)
    stored = Readings(database).latest()
    assert stored["barn"].values == {"voltage": 230.0, "energy_import_1": 2.5}
    assert stored["barn"].measured_at == NOON


def test_a_row_that_the_database_refuses_is_not_tried_for_ever(sqlite: Database) -> None:
    """Here one of a meter that there is not."""
    row = [99, NOON, *[None] * (len(reading.columns) - 2)]
    write = insert_new("sqlite", reading)
    with pytest.raises(UnstorableError, match="FOREIGN KEY"), sqlite.write() as connection:
        direct.insert(connection, write, [row])
