"""What the troubleshooting guide says of a database that fails, and of a stopped service."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from support.troubleshooting import House, check_faults


@contextmanager
def database_locked(house: House) -> Iterator[None]:
    with closing(sqlite3.connect(house.service.database)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


@contextmanager
def database_gone(house: House) -> Iterator[None]:
    aside = house.service.folder / "aside"
    aside.mkdir()
    files = list(house.service.database.parent.glob("esquirell.db*"))
    for file in files:
        file.rename(aside / file.name)
    yield
    for file in files:
        (aside / file.name).rename(file)


@contextmanager
def service_stopped(house: House) -> Iterator[None]:
    assert house.service.stop() == 0
    yield
    house.service.start()


def test_every_place_shows_a_fault_of_the_database(house: House) -> None:
    faults = {
        "the database is locked": database_locked,
        "the file of the database is gone": database_gone,
    }
    check_faults(house, faults)


def test_every_place_shows_that_the_service_is_stopped(house: House) -> None:
    check_faults(house, {"the service is stopped": service_stopped})
