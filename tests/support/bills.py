"""Costs computed from invented hours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from esquirell.domain.cost import HourlyEnergy, PriceRow
from esquirell.domain.periods import Calendar
from esquirell.domain.tariff import Tariff
from esquirell.services.costs import Costs

HOME = Tariff.model_validate({"name": "home", "currency": "PLN", "import_price": 1})
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Hours:
    """One kWh each hour, of every meter but those that are `silent`."""

    def __init__(self, silent: Sequence[str] = ()) -> None:
        self._silent = silent

    def energies(self, meter: str, since: datetime, until: datetime) -> Iterator[HourlyEnergy]:
        start = since
        while start < until and meter not in self._silent:
            yield start, 1_000_000, 0
            start += timedelta(hours=1)

    def first_with_hours(self, names: Sequence[str], since: datetime, until: datetime) -> str:
        assert since < until
        return next((name for name in names if name not in self._silent), "")


class ImportedPrices:
    """Imported prices; it counts how often they are asked for."""

    def __init__(self, rows: Sequence[PriceRow] = ()) -> None:
        self._rows = rows
        self.asked = 0

    def rows(self, tariff: str, since: datetime, until: datetime) -> list[PriceRow]:
        del tariff
        assert since < until
        self.asked += 1
        return list(self._rows)


@dataclass(slots=True)
class Contracts:
    """What is configured."""

    tariffs: Sequence[Tariff]
    meter_names: Sequence[str]


def billed(
    *tariffs: Tariff,
    meters: Sequence[str] = ("main",),
    silent: Sequence[str] = (),
    prices: ImportedPrices | None = None,
    now: datetime = NOON,
) -> Costs:
    """Build costs in Warsaw, by the tariffs or a plain one."""
    contracts = Contracts(tariffs or (HOME,), meters)
    zone = Calendar("Europe/Warsaw")
    return Costs(Hours(silent), prices or ImportedPrices(), lambda: contracts, zone, lambda: now)
