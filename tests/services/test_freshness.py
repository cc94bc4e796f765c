import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from support.waiting import LIMIT_S

from esquirell.services.freshness import FRESH_FOR, FreshStatistics

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Statistics:
    def __init__(self) -> None:
        self.worked_up: list[list[str]] = []

    def meters(self) -> list[str]:
        return ["barn", "main"]

    def rollup(
        self, since: datetime | None = None, meters: Sequence[str] | None = None
    ) -> dict[str, int]:
        assert since is None
        self.worked_up.append(list(meters or ()))
        return {}


def test_statistics_are_updated_at_a_limited_rate_however_often_they_are_read() -> None:
    now, statistics = NOON, Statistics()
    fresh = FreshStatistics(statistics, lambda: now)
    fresh.ensure(["main"])
    fresh.ensure(["main"])
    fresh.ensure(None)
    fresh.ensure(None)
    assert statistics.worked_up == [["main"], ["barn"]]
    now += FRESH_FOR
    fresh.ensure(None)
    assert statistics.worked_up[2:] == [["barn", "main"]]


def test_a_clock_that_is_set_back_makes_nothing_fresh() -> None:
    now, statistics = NOON, Statistics()
    fresh = FreshStatistics(statistics, lambda: now)
    fresh.ensure(["main"])
    now -= timedelta(days=1)
    fresh.ensure(["main"])
    assert len(statistics.worked_up) == 2


def test_statistics_that_took_long_are_fresh_nevertheless() -> None:
    moments = iter([NOON, NOON, NOON + 3 * FRESH_FOR, NOON + 3 * FRESH_FOR])
    fresh = FreshStatistics(Statistics(), lambda: next(moments))
    fresh.ensure(["main"])
    assert fresh.are_fresh(["main"])


class Slow(Statistics):
    def __init__(self) -> None:
        super().__init__()
        self.working, self.go = threading.Semaphore(0), threading.Event()

    def rollup(
        self, since: datetime | None = None, meters: Sequence[str] | None = None
    ) -> dict[str, int]:
        self.working.release()
        assert self.go.wait(LIMIT_S)
        return super().rollup(since, meters)


def test_simultaneous_requests_share_one_query() -> None:
    statistics = Slow()
    fresh = FreshStatistics(statistics, lambda: NOON)
    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(fresh.ensure, ["main"]) for _ in range(4)]
        assert statistics.working.acquire(timeout=LIMIT_S)
        statistics.go.set()
        for look in looks:
            look.result(LIMIT_S)
    assert statistics.worked_up == [["main"]]
