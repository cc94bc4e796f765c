from datetime import timedelta

import pytest
from support.db_samples import START, sample
from support.statistics import Workshop

from esquirell.domain.reading import Reading
from esquirell.storage.database import Database

MINUTE = timedelta(minutes=1)


def values(shop: Workshop) -> list[dict[str, float]]:
    found = shop.readings.query(None, START, START + timedelta(days=1))
    return [dict(reading.values) for reading in found]


def test_what_a_reading_retracts_is_taken_out_of_the_earlier_one(database: Database) -> None:
    shop = Workshop(database)
    first = {"energy_import": 0.0, "energy_export_1": 0.0, "voltage": 230.0, "voltage_1": 231.0}
    second = {"energy_import": 1064.0, "energy_export_1": 3.0}
    shop.put((START, first))
    shop.rollup()
    retracted = {"energy_import": START, "energy_export_1": START}
    shop.readings.add([Reading("main", START + MINUTE, second, retracted=retracted)], {})
    assert values(shop) == [{"voltage": 230.0, "voltage_1": 231.0}, second]
    shop.put((START + 2 * MINUTE, {"energy_import": 1065.0, "energy_export_1": 3.5}))
    shop.rollup()
    assert shop.values("hour", "energy_import") == [1.0]
    assert shop.values("hour", "energy_export_1") == [0.5]


def test_both_may_be_in_one_batch(database: Database) -> None:
    shop = Workshop(database)
    first = sample("main", 0, energy_import=0.0)
    second = Reading("main", START + MINUTE, {"energy_import": 1064.0})
    retracting = Reading(
        "main", START + 2 * MINUTE, {"energy_import": 1064.0}, retracted={"energy_import": START}
    )
    other = sample("garage", 0, energy_import=0.0)
    shop.readings.add([first, other, second, retracting], {})
    found = list(shop.readings.query(None, START, START + timedelta(days=1)))
    assert [(one.meter, one.values.get("energy_import")) for one in found] == [
        ("garage", 0.0),
        ("main", None),
        ("main", 1064.0),
        ("main", 1064.0),
    ]


def test_what_is_retracted_hours_later_is_no_energy(shop: Workshop) -> None:
    hour = timedelta(hours=1)
    shop.put(
        (START, {"voltage": 230.0}),
        (START + hour, {"energy_import": 0.0, "voltage": 230.0}),
        (START + 2 * hour, {"voltage": 230.0}),
    )
    shop.rollup()
    believed = {"energy_import": 1064.0, "voltage": 230.0}
    retracted = {"energy_import": START + hour}
    shop.readings.add([Reading("main", START + 3 * hour, believed, retracted=retracted)], {})
    shop.put((START + 4 * hour, {"energy_import": 1065.0}))
    shop.rollup()
    assert sum(filter(None, shop.values("hour", "energy_import"))) == pytest.approx(1.0)
    assert shop.everything() == shop.from_scratch()
