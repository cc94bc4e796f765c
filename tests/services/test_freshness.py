from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

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


def test_statistics_are_worked_up_once_in_a_while_however_often_somebody_looks() -> None:
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
