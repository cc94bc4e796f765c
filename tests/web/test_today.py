"""What the day has brought: from a real database, followed by readings that are not in it yet."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from support.waiting import eventually

from esquirell.domain.meter import Meter
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.domain.tariff import Tariff
from esquirell.runtime.root import Runtime
from esquirell.runtime.storage import Storage
from esquirell.settings import Settings
from esquirell.storage.maintenance.migrate import upgrade
from esquirell.web.today import DaySoFar, Today

METERS = [Meter(name=name, device_id=name, local_key="0" * 16) for name in ("main", "barn")]
HOME = Tariff.model_validate(
    {"name": "home", "meters": ("main",), "currency": "EUR", "import_price": "0.5"}
)
MINUTE = timedelta(minutes=1)


@dataclass
class Place:
    """What a day is worked up from: settings, and a database."""

    settings: Settings
    storage: Storage


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    # Where it is about noon now: the day does not end during the test.
    hours = datetime.now(UTC).hour - 12
    zone = f"Etc/GMT{hours:+d}"
    settings = Settings(timezone=zone, state_dir=tmp_path, meters=METERS, tariffs=[HOME])
    upgrade(settings.database_url)
    storage = Storage(lambda: settings, lambda: datetime.now(UTC))
    yield Place(settings, storage)
    storage.database.close()


def read(age: timedelta, counted: float, meter: str = "main") -> Reading:
    return Reading(meter, datetime.now(UTC) - age, {"energy_import": counted})


def is_over(day: DaySoFar) -> bool:
    return day.is_over


def test_the_day_continues_from_the_last_stored_reading(place: Place) -> None:
    status: Mapping[str, MeterStatus] = {"main": MeterStatus(keys=("energy_import",))}
    stored = [read(90 * MINUTE, 100.0), read(30 * MINUTE, 101.0), read(5 * MINUTE, 101.5)]
    place.storage.readings.add(stored, status)
    changes: list[int] = []
    with ThreadPoolExecutor(1) as work:
        day = DaySoFar(cast("Runtime", place), work, lambda: changes.append(1))
        assert is_over(day)
        # Who has no patience gets nothing yet, and is told later.
        assert day.look(["main", "barn"], {}, 0.0)["main"] in (Today(), Today(1.5, cost=0.75))
        eventually(lambda: changes, what="the day is worked up")
        known = day.known(["main", "barn"], {"main": read(timedelta(), 101.75)})
        assert known["main"].imported == pytest.approx(1.75)
        assert known["main"].cost == pytest.approx(0.875)
        assert known["main"].currency == "EUR"
        assert known["barn"] == Today()
        assert not is_over(day)
        # It is not worked up at each look, and a meter that is new to it is not forgotten.
        day.look(["main", "barn"], {}, 5.0)
        assert len(changes) == 1
        assert day.look(["main", "attic"], {}, 5.0)["attic"] == Today()
        assert len(changes) == 2


def test_a_database_that_is_away_is_asked_again(place: Place) -> None:
    place.storage.database.close()
    file = place.storage.database.file
    assert file
    aside = file.rename(file.with_suffix(".away"))
    file.mkdir()
    changes: list[int] = []
    with ThreadPoolExecutor(1) as work:
        day = DaySoFar(cast("Runtime", place), work, lambda: changes.append(1))
        assert day.look(["main"], {}, 30.0) == {"main": Today()}
        assert changes == []
        file.rmdir()
        aside.rename(file)
        day.look(["main"], {}, 30.0)
        assert changes == [1]
