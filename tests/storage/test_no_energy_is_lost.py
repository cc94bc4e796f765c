"""Whatever befalls a meter and its computer: every kilowatt-hour is counted, once.

A few examples run with the others; `make properties` tries thousands.
"""

import os
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bills import Contracts
from support.energy import CLOCKS, KEYS, ZONES, Event, House
from support.statistics import RESOLUTIONS

from esquirell.domain.periods import Calendar
from esquirell.domain.tariff import Tariff
from esquirell.services.costs import CostQuery, Costs
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.prices import Prices

EXAMPLES = int(os.environ.get("PROPERTIES", "12"))
PRICE = Decimal("0.25")

# In Warsaw clocks go back, and forward, within the days after these.
STARTS = (datetime(2027, 10, 30, 12, tzinfo=UTC), datetime(2028, 3, 25, 12, tzinfo=UTC))

EVENTS = st.one_of(
    st.just("read"),
    st.sampled_from(["read", "read", "dip", "zero", "jump", "silent", "reset", "export_reset"]),
    st.sampled_from(["withhold", "duplicate", "kill", "roll", "anew", "undone"]),
    st.sampled_from(["exchange 0", "exchange 99000", "exchange 167772"]),
    st.sampled_from([f"boot {clock}" for clock in CLOCKS]),
    st.sampled_from([f"set {clock}" for clock in CLOCKS]),
    st.sampled_from([f"zone {zone}" for zone in ZONES]),
)
STORY = st.lists(
    st.builds(
        Event,
        EVENTS,
        st.sampled_from([1.0, 10.0, 60.0, 61.0, 900.0, 3600.0, 7300.0, 86_400.0]),
        st.sampled_from([0.0, 0.0, 0.01, 0.3, 1.3, 10.0]),
    ),
    max_size=40,
)


def check(house: House) -> None:
    """Compare what is stored of the meter with what was worked up, and with its costs."""
    house.ends()
    for key in KEYS:
        kwh = counted(house.believed(key))
        for resolution in RESOLUTIONS:
            parts = [one or 0.0 for one in house.shop.values(resolution, key)]
            assert all(part >= 0 for part in parts)
            assert sum(parts) == pytest.approx(kwh, abs=1e-4)
    assert house.shop.everything() == house.shop.from_scratch()
    price = float(PRICE) * counted(house.believed())
    assert cost_of(house) == pytest.approx(price, abs=1e-3)


def counted(sums: list[float]) -> float:
    return max(sums) - sums[0] if sums else 0.0


def cost_of(house: House) -> float:
    tariff = Tariff.model_validate({"name": "home", "currency": "EUR", "import_price": PRICE})
    contracts = Contracts([tariff], ["main"])
    calendar = Calendar(house.shop.zone)
    prices = Prices(house.database)
    costs = Costs(house.shop.store, prices, lambda: contracts, calendar, house.clock)
    span = (house.true - timedelta(days=800), house.true + timedelta(days=1))
    return float(sum(row.cost.bought for row in costs.read(CostQuery(*span, "month"))))


@settings(max_examples=EXAMPLES)
@given(story=STORY, start=st.sampled_from(STARTS))
def test_no_energy_is_lost_and_none_invented(story: list[Event], start: datetime) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(f"sqlite:///{folder}/esquirell.db", durability="normal")) as database,
    ):
        ensure_current(database)
        house = House(database, Path(folder), start)
        house.lives(story)
        check(house)


READ = Event("read", 60.0, 0.01)
FIXED = {
    "a coarse counter": [*[Event("read", 10)] * 30, Event("read", 10, 1.3), READ, READ],
    "an outage of a day": [READ, READ, Event("read", 86_400, 10), READ],
    "dips, zeros, a reset": [
        *[READ] * 3,
        Event("zero"),
        READ,
        Event("dip"),
        READ,
        Event("jump"),
        Event("reset"),
        *[READ] * 5,
    ],
    "a reset of its offset that is undone": [
        READ,
        Event("exchange 99000"),
        Event("undone"),
        *[Event("read", 60, 0.3)] * 2,
    ],
    "an overflow": [Event("exchange 167772"), *[Event("read", 60, 0.3)] * 6],
    "one counter of two begins anew": [READ, Event("export_reset"), *[Event("read", 60, 0.3)] * 5],
    "an exchange": [*[READ] * 3, Event("exchange 99000"), *[READ] * 3],
    "a boot in 1970": [*[READ] * 3, Event("boot 1970", 600), *[READ] * 3, Event("set right"), READ],
    "a boot ten years ahead that lasts": [
        *[READ] * 3,
        Event("boot ten years ahead"),
        *[Event("read", 900, 0.3)] * 6,
        Event("boot right"),
        *[Event("read", 900, 0.3)] * 6,
    ],
    "a boot ten years ahead, and a reading of it that comes late": [
        Event("read", 1),
        Event("boot ten years ahead", 1),
        Event("read", 7300, 10),
        Event("withhold", 10, 0.01),
        Event("reset", 7300, 0.01),
    ],
    "late and twice": [
        READ,
        Event("withhold", 60, 0.3),
        READ,
        Event("duplicate"),
        Event("roll"),
        READ,
    ],
    "zones, over the end of summer": [
        *[Event("read", 3600, 0.3)] * 30,
        *[Event(f"zone {zone}") for zone in (*ZONES, *reversed(ZONES))],
    ],
    "another zone for as long as the clock shows 1970": [
        *[Event("read", 86_400, 0.3)] * 3,
        Event("roll"),
        Event("boot 1970"),
        *[Event(f"zone {zone}") for zone in ("UTC", ZONES[0])],
    ],
    "killed all the time": [
        step for _ in range(6) for step in (READ, Event("kill"), Event("roll"))
    ],
}


@pytest.mark.parametrize("story", FIXED.values(), ids=FIXED)
def test_no_energy_is_lost_on_either_database(
    database: Database, tmp_path: Path, story: list[Event]
) -> None:
    house = House(database, tmp_path, STARTS[0])
    house.lives(story)
    check(house)


def test_the_stories_count_something(sqlite: Database, tmp_path: Path) -> None:
    house = House(sqlite, tmp_path, STARTS[0])
    house.lives(FIXED["a coarse counter"])
    check(house)
    assert counted(house.believed()) == pytest.approx(1.32)
