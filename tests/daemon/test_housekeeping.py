from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.redis_server import RedisProcess
from support.statistics import WARSAW, Workshop

from esquirell.broker.connection import Client
from esquirell.broker.lease import Lease
from esquirell.daemon import housekeeping
from esquirell.daemon.housekeeping import BREATH_S, RETRY_S, Housekeeping
from esquirell.domain.errors import UnavailableError
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Reading
from esquirell.services.retention import Retention
from esquirell.storage.database import Database
from esquirell.storage.maintenance.migrate import upgrade

MIDNIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    url = f"sqlite:///{tmp_path}/esquirell.db"
    upgrade(url)
    return Workshop(Database(url))


class Clocks:
    """A quarter of an hour and seven minutes after noon, until a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 12 * 3600 + 22 * 60 + self.now


def keeper(
    shop: Workshop, told: list[str], clocks: Clocks | None = None, *, billed: Sequence[str] = ()
) -> Housekeeping:
    """Return the housekeeping of a house in which the `billed` meters have a tariff."""
    retention = Retention(shop.store, Calendar(WARSAW), timedelta(days=1), lambda: shop.now)
    clocks = clocks or Clocks()
    return Housekeeping(
        shop.statistics,
        retention,
        told.append,
        billed.__contains__,
        clocks.monotonic,
        clocks.wall,
    )


def test_statistics_and_retention_are_kept_then_it_rests(shop: Workshop) -> None:
    shop.put(
        *[(MIDNIGHT + n * timedelta(minutes=1), {"energy_import": n / 100}) for n in range(99)]
    )
    shop.put((shop.now - timedelta(hours=20), {}))
    told: list[str] = []
    worker = keeper(shop, told)
    pauses = [worker.run_once() for _ in range(10)]
    assert pauses[0] == BREATH_S
    assert pauses[-1] == housekeeping.FIRST_PAUSE_S
    # Once the statistics are up to date.
    assert told == ["main"]
    assert shop.values("day", "energy_import")[0] == pytest.approx(0.98)
    # Of each hour the first and the last one stay, of the last day all.
    assert shop.readings.counts() == {"main": 2 + 2 + 1}
    shop.database.close()


def test_a_start_with_the_clock_of_another_year_deletes_nothing(shop: Workshop) -> None:
    """A computer that keeps its time while it is off, and whose battery is empty."""
    minute = timedelta(minutes=1)
    right = MIDNIGHT + timedelta(days=2)
    shop.put(*[(MIDNIGHT + n * 15 * minute, {"energy_import": n / 100}) for n in range(2 * 96)])
    for years in (1, -1, 1):
        shop.now = right + timedelta(days=365 * years)
        worker = keeper(shop, [])
        for _ in range(20):
            worker.run_once()
        assert shop.readings.counts() == {"main": 2 * 96}
    shop.now = right
    worker = keeper(shop, [])
    for _ in range(20):
        worker.run_once()
    assert shop.readings.counts() == {"main": 2 * 24 + 96}
    assert sum(value or 0 for value in shop.values("day", "energy_import")) == pytest.approx(1.91)
    shop.database.close()


def test_costs_are_published_within_a_minute_at_first_and_then_every_quarter(
    shop: Workshop,
) -> None:
    """A cost sensor of a new house is not unknown for a quarter of an hour."""
    told: list[str] = []
    clocks = Clocks()
    worker = keeper(shop, told, clocks, billed=["main"])
    assert worker.run_once() == 60.0
    assert told == []
    shop.put((MIDNIGHT, {"energy_import": 1.0}), (MIDNIGHT + timedelta(minutes=1), {}))
    at: list[float] = []
    while clocks.now < 3600:
        before = len(told)
        pause = worker.run_once()
        at += [clocks.now] * (len(told) - before)
        clocks.now += pause
    assert [round(moment) for moment in at[:4]] == [60, 120, 240, 480]
    # 12:45, 13:00 and 13:15 by the clock, and ten seconds.
    quarters = [moment for moment in at if moment > 961]
    assert [round(moment + 22 * 60) % 900 for moment in quarters] == [10, 10, 10]
    shop.database.close()


def test_meters_of_before_are_worked_up_at_the_start_and_then_on_the_quarter(
    shop: Workshop,
) -> None:
    """A restart writes no statistics of old meters every minute; costs of new ones don't wait.

    Those of new meters without a tariff are worked up with the others.
    """
    shop.put((MIDNIGHT, {"energy_import": 1.0}))
    told: list[str] = []
    clocks = Clocks()
    worker = keeper(shop, told, clocks, billed=["main", "new"])
    at: dict[str, list[float]] = {"main": [], "new": [], "free": []}
    while clocks.now < 900:
        pause = worker.run_once()
        for name in told:
            at[name].append(clocks.now)
        told.clear()
        clocks.now += pause
        if "new" not in shop.statistics.meters():
            new = [Reading(name, MIDNIGHT, {"energy_import": 1.0}) for name in ("new", "free")]
            shop.readings.add(new, {})
    # At 12:30 and 12:45 by the clock, and ten seconds.
    assert [round(moment) for moment in at["main"]] == [0, 490]
    assert [round(moment) for moment in at["new"]][:2] == [60, 120]
    assert [round(moment) for moment in at["free"]] == [490]
    shop.database.close()


def test_without_a_database_it_tries_again(shop: Workshop) -> None:
    worker = keeper(shop, [])
    assert shop.database.file
    shop.database.close()
    shop.database.file.write_bytes(b"no database at all" * 100)
    assert worker.run_once() == RETRY_S
    shop.database.close()


class Held:
    """A lease that is ours, somebody else's, or can't be asked for."""

    def __init__(self) -> None:
        self.is_ours: bool | None = True

    def hold(self) -> bool:
        if self.is_ours is None:
            raise UnavailableError("Redis does not answer")
        return self.is_ours


def kept_by(workers: int, shop: Workshop, client: Client) -> tuple[int, int]:
    """Let workers keep house for three hours; return the messages about costs, and the steps."""
    told: list[str] = []
    clocks, steps = Clocks(), list[float]()

    def counted(worker: Housekeeping) -> Callable[[], float]:
        def run_once() -> float:
            steps.append(clocks.now)
            return worker.run_once()

        return run_once

    leases = [Lease(client, "housekeeper", f"worker {number}") for number in range(workers)]
    keepers = [housekeeping.by_one(lease, counted(keeper(shop, told, clocks))) for lease in leases]
    for _ in range(3 * 450):
        clocks.now += housekeeping.LOOK_AT_LEAST_S
        for run_once in keepers:
            run_once()
    for lease in leases:
        lease.release()
    return len(told), len(steps)


def test_four_workers_say_and_do_what_one_does(shop: Workshop, server: RedisProcess) -> None:
    shop.put(*[(MIDNIGHT + n * timedelta(hours=1), {"energy_import": float(n)}) for n in range(9)])
    alone = kept_by(1, shop, server.client)
    assert alone[0] >= 12
    messages, steps = kept_by(4, shop, server.client)
    assert messages == alone[0]
    assert steps <= 1.1 * alone[1]
    shop.database.close()


def test_one_of_several_workers_does_the_housekeeping() -> None:
    lease, runs = Held(), list[int]()

    def keep() -> float:
        runs.append(1)
        return 900.0

    run_once = housekeeping.by_one(lease, keep)
    assert run_once() == housekeeping.LOOK_AT_LEAST_S
    lease.is_ours = None
    run_once()
    assert len(runs) == 2
    lease.is_ours = False
    assert run_once() == housekeeping.LOOK_AT_LEAST_S
    lease.is_ours = None
    run_once()
    assert len(runs) == 2
