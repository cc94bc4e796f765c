"""The statistics of all meters share a transaction, as each writes pages of an SD card."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from support.statistics import MIDNIGHT, MINUTE, Workshop

from esquirell.domain.errors import UnavailableError
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Reading
from esquirell.services.statistics import Statistics
from esquirell.storage.database import Database
from esquirell.storage.statistics import store

METERS = [f"flat-{number:02}" for number in range(10)]


class Counted(store.Statistics):
    """Statistics in a database that note which meters a transaction worked on."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "UTC")
        self.taken: list[list[str]] = []

    @contextmanager
    def transactions(self, names: Sequence[str]) -> Iterator[Iterator[store.Transaction]]:
        taken: list[str] = []

        def noted(turns: Iterator[store.Transaction]) -> Iterator[store.Transaction]:
            for turn in turns:
                taken.append(turn.meter)
                yield turn

        with super().transactions(names) as turns:
            yield noted(turns)
        self.taken.append(taken)


@pytest.fixture
def shop(database: Database) -> Workshop:
    shop = Workshop(database, "UTC")
    for name in METERS:
        given = [Reading(name, MIDNIGHT + n * MINUTE, {"energy_import": n / 10}) for n in range(90)]
        shop.readings.add(given, {})
    return shop


def worked_up(shop: Workshop) -> tuple[Counted, Statistics]:
    counted = Counted(shop.database)
    statistics = Statistics(counted, Calendar("UTC"), lambda: shop.now)
    # However slow the machine is.
    statistics.together_s = 60.0
    return counted, statistics


def test_ten_meters_take_one_transaction(shop: Workshop) -> None:
    counted, statistics = worked_up(shop)
    assert statistics.rollup() == dict.fromkeys(METERS, 90)
    # The other one finds nothing more to do.
    assert counted.taken == [METERS, METERS]
    assert len(shop.found("hour")) == 2 * len(METERS)
    assert shop.everything() == shop.from_scratch()


def test_readings_that_arrive_meanwhile_do_not_prolong_it(shop: Workshop) -> None:
    class Busy(Counted):
        """Each transaction takes longer than until the next reading."""

        @contextmanager
        def transactions(self, names: Sequence[str]) -> Iterator[Iterator[store.Transaction]]:
            with super().transactions(names) as turns:
                yield turns
            assert len(self.taken) < 9, "it goes on for ever"
            shop.now += MINUTE
            shop.readings.add([Reading(METERS[0], shop.now, {"energy_import": 99.0})], {})

    shop.now = MIDNIGHT + 90 * MINUTE
    statistics = Statistics(Busy(shop.database), Calendar("UTC"), lambda: shop.now)
    assert statistics.rollup(meters=METERS[:1]) == {METERS[0]: 90}


def test_a_transaction_that_takes_long_leaves_the_others_for_the_next(shop: Workshop) -> None:
    counted, statistics = worked_up(shop)
    statistics.together_s = 0.0
    assert statistics.steps(METERS) == {METERS[0]: 90}
    assert statistics.rollup(meters=METERS[:3])[METERS[2]] == 90
    assert [len(taken) for taken in counted.taken] == [1] * len(counted.taken)
    assert {one.meter for one in shop.found("hour")} == set(METERS[:3])


def test_a_damaged_meter_holds_up_no_other(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite stores any text in a column of numbers, and disks flip bits."""
    shop = Workshop(sqlite, "UTC")
    for name in METERS:
        shop.readings.add([Reading(name, MIDNIGHT, {"voltage": 230.0})], {})
    bad = METERS[4]
    with sqlite.write() as connection:
        query = "UPDATE reading SET voltage = 'x' WHERE meter_id = (SELECT id FROM meter WHERE {})"
        connection.execute(text(query.format("name = :name")), {"name": bad})
    counted, statistics = worked_up(shop)
    with caplog.at_level(logging.ERROR):
        done = statistics.rollup()
    assert done == dict.fromkeys(METERS, 1) | {bad: 0}
    assert {one.meter for one in shop.found("hour")} == set(METERS) - {bad}
    assert [len(taken) for taken in counted.taken] == [9, 9]
    assert (
        f"the statistics of {bad} stay as they are: the stored counters of {bad} are damaged"
        in (caplog.text)
    )
    with pytest.raises(UnavailableError, match=bad):
        statistics.steps([bad])


def test_a_database_that_can_not_be_opened_blames_no_meter(
    sqlite: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Workshop(sqlite, "UTC")
    _, statistics = worked_up(shop)
    sqlite.close()
    assert sqlite.file
    sqlite.file.write_bytes(b"no database at all" * 100)
    with pytest.raises(UnavailableError):
        statistics.steps(METERS)
    assert not caplog.records
