"""From one database to another, with everything in it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from support.db_damage import store
from support.db_samples import put, sample

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.reading import MeterStatus
from esquirell.domain.schedule import LastRun, StoredSchedule
from esquirell.storage.database import Database
from esquirell.storage.maintenance.moving import BATCH, move
from esquirell.storage.readings import Readings
from esquirell.storage.schedules import Schedules
from esquirell.storage.tables import metadata


@pytest.fixture
def filled(sqlite: Database) -> Database:
    store(sqlite, BATCH + 5)
    status = MeterStatus(2, "busy", None, ("voltage",))
    Readings(sqlite).add([sample("garage", 1, active_power_pv1=1.5)], {"garage": status})
    put(Schedules(sqlite), StoredSchedule("fetch", {"every": 60}, {"every": 10}))
    Schedules(sqlite).record_run("fetch", LastRun(datetime(2026, 11, 22, tzinfo=UTC), "ok"))
    return sqlite


@pytest.fixture
def target(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    yield database
    database.close()


def everything(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


def test_everything_arrives(filled: Database, target: Database) -> None:
    said: list[tuple[str, int, int]] = []
    counts = move(filled, target, lambda *news: said.append(news))
    assert everything(target) == everything(filled)
    assert counts["reading"] == BATCH + 6
    assert ("reading", BATCH, BATCH + 6) in said
    assert ("reading", BATCH + 6, BATCH + 6) in said


def test_new_meters_get_new_numbers_afterwards(filled: Database, target: Database) -> None:
    move(filled, target, lambda *_: None)
    Readings(target).add([sample("barn")], {})
    assert Readings(target).counts() == {"barn": 1, "garage": 1, "main": BATCH + 5}


def test_an_empty_database_can_be_moved(sqlite: Database, target: Database) -> None:
    assert set(move(sqlite, target, lambda *_: None).values()) == {0}
    Readings(target).add([sample("main")], {})


def test_a_target_with_rows_is_refused(filled: Database, target: Database) -> None:
    move(filled, target, lambda *_: None)
    with pytest.raises(ConfigError, match=r"holds rows of .* already"):
        move(filled, target, lambda *_: None)
    assert everything(target) == everything(filled)


def test_the_database_itself_is_refused(filled: Database) -> None:
    with pytest.raises(ConfigError, match="name another one"):
        move(filled, Database(str(filled.url)), lambda *_: None)


def test_an_interrupted_move_leaves_the_target_empty(filled: Database, target: Database) -> None:
    def interrupt(_name: str, done: int, _whole: int) -> None:
        if done == BATCH:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(filled, target, interrupt)
    assert not any(everything(target).values())


def test_a_server_that_is_away_is_said(filled: Database) -> None:
    away = Database("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(UnavailableError):
        move(filled, away, lambda *_: None)
