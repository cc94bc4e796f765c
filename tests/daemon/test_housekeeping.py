from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.statistics import WARSAW, Workshop

from esquirell.daemon import housekeeping
from esquirell.daemon.housekeeping import BREATH_S, RETRY_S, Housekeeping
from esquirell.domain.periods import Calendar
from esquirell.services.retention import Retention
from esquirell.storage.database import Database
from esquirell.storage.maintenance.migrate import upgrade

MIDNIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    url = f"sqlite:///{tmp_path}/esquirell.db"
    upgrade(url)
    return Workshop(Database(url))


def keeper(shop: Workshop, told: list[str]) -> Housekeeping:
    retention = Retention(shop.store, Calendar(WARSAW), timedelta(days=1), lambda: shop.now)
    return Housekeeping(shop.statistics, retention, told.append)


def test_statistics_and_retention_are_kept_then_it_rests(shop: Workshop) -> None:
    shop.put(
        *[(MIDNIGHT + n * timedelta(minutes=1), {"energy_import": n / 100}) for n in range(99)]
    )
    told: list[str] = []
    worker = keeper(shop, told)
    pauses = [worker.turn() for _ in range(10)]
    assert pauses[0] == BREATH_S
    assert housekeeping.ROLLUP_EVERY_S / 2 < pauses[-1] <= housekeeping.ROLLUP_EVERY_S
    # Once the statistics are up to date.
    assert told == ["main"]
    assert shop.values("day", "energy_import") == [pytest.approx(0.98)]
    # The hour that is not over for the statistics stays whole.
    assert shop.readings.counts() == {"main": 2 + 39}
    shop.database.close()


def test_without_a_database_it_tries_again(shop: Workshop) -> None:
    worker = keeper(shop, [])
    assert shop.database.file
    shop.database.close()
    shop.database.file.write_bytes(b"no database at all" * 100)
    assert worker.turn() == RETRY_S
    shop.database.close()
