"""Costs reckoned from invented hours."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from esquirell.domain.cost import PriceRow
from esquirell.domain.periods import Calendar
from esquirell.domain.statistic import Statistic
from esquirell.domain.tariff import Tariff
from esquirell.services.costs import Costs

HOME = Tariff.model_validate({"name": "home", "currency": "PLN", "import_price": 1})
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Hours:
    """One kWh each hour."""

    def hours(
        self, meter: str, since: datetime, until: datetime, keys: Collection[str]
    ) -> Iterator[Statistic]:
        assert "energy_import" in keys
        start = since
        while start < until:
            yield Statistic(meter, start, {"energy_import": 1.0})
            start += timedelta(hours=1)


class NoPrices:
    """Nothing was imported."""

    def rows(self, tariff: str, since: datetime, until: datetime) -> list[PriceRow]:
        del tariff
        assert since < until
        return []


def reckoned(*tariffs: Tariff, now: datetime = NOON) -> Costs:
    """Build costs in Warsaw, by the tariffs or a plain one."""
    zone = Calendar("Europe/Warsaw")
    return Costs(Hours(), NoPrices(), lambda: tariffs or (HOME,), zone, lambda: now)
