"""A new quantity is one row in the table of quantities: no other change, and no migration."""

from collections.abc import Iterator

import pytest
from support.db_samples import START
from support.statistics import Workshop

from esquirell.domain import quantity, statistic
from esquirell.domain.quantity import QUANTITIES, Quantity
from esquirell.domain.reading import Reading
from esquirell.storage.database import Database

LIGHT = Quantity("illuminance", "lx", "illuminance", "measurement", 0, "Light", (0, 2e5))
WATER = Quantity("water", "m³", "water", "total_increasing", 3, "Water", (0, 1e6))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def forget() -> None:
        quantity.split_key.cache_clear()
        quantity.is_quantity_key.cache_clear()
        for cached in (statistic.quantity_of, statistic.is_energy, statistic.names_of):
            cached.cache_clear()

    for new in (LIGHT, WATER):
        monkeypatch.setitem(QUANTITIES, new.key, new)
    monkeypatch.setattr(quantity, "_LONGEST_FIRST", sorted(QUANTITIES, key=len, reverse=True))
    forget()
    yield
    forget()


def test_it_is_stored_read_and_worked_up(database: Database) -> None:
    shop = Workshop(database)
    values = {"illuminance": 300.0, "water": 12.5, "voltage": 230.0}
    shop.put((START, values))
    shop.put((START.replace(minute=20), values | {"water": 12.75}))
    assert shop.readings.latest()["main"] == Reading(
        "main", START.replace(minute=20), values | {"water": 12.75}
    )
    shop.rollup()
    (day,) = shop.found("day")
    assert (day.values["water"], day.values["illuminance_mean"]) == (0.25, 300.0)
