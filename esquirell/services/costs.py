"""The cost of the meters' energy by their tariffs, computed from the hours.

Nothing is stored, so that correcting a price corrects the past, too. The energy of all hours of a
period with the same price is summed up first; only the sums are multiplied.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, get_args

from esquirell.domain.clock import Clock
from esquirell.domain.cost import (
    Cost,
    HourlyEnergy,
    HourPrice,
    HourPrices,
    PriceList,
    PriceRow,
    PriceTable,
    add_up,
)
from esquirell.domain.errors import CommandError, ConfigError
from esquirell.domain.nearest import hint
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import iso
from esquirell.domain.record import record
from esquirell.domain.submeters import Upstream, behind
from esquirell.domain.tariff import Tariff, tariff_of

CostPeriod = Literal["hour", "day", "month", "year"]
COST_PERIODS: tuple[CostPeriod, ...] = get_args(CostPeriod)

Span = tuple[datetime, datetime]

# The sensors of all meters are updated one after the other and share the prices.
_RECENT = timedelta(minutes=1)


class EnergyStore(Protocol):
    """Provides the energy of the meters hour by hour."""

    def energies(self, meter: str, since: datetime, until: datetime) -> Iterator[HourlyEnergy]:
        """Stream the hours of a meter in time order. Raises UnavailableError."""

    def first_with_hours(self, meters: Sequence[str], since: datetime, until: datetime) -> str:
        """Return the first of these meters that has hours in a span, "" if none has any.

        Raises UnavailableError.
        """


class PriceStore(Protocol):
    """Keeps the imported prices."""

    def rows(self, tariff: str, since: datetime, until: datetime) -> list[PriceRow]:
        """Return the rows that hold within a span, in time order. Raises UnavailableError."""


class Contracts(Protocol):
    """Provides the configured meters and tariffs."""

    @property
    def tariffs(self) -> Sequence[Tariff]:
        """The tariffs, in the order of the configuration."""

    @property
    def meter_names(self) -> Sequence[str]:
        """The names of the meters, in the order of the configuration."""


@record
class CostQuery:
    """Which costs to compute: of the periods that begin in a span, and of the one it begins in.

    No meters means all that have a tariff. `tariff` names the one to use, whichever meters it is
    for.
    """

    since: datetime
    until: datetime
    period: CostPeriod = "day"
    meters: Sequence[str] = ()
    tariff: str | None = None


@record
class CostRow:
    """The cost of a period for one meter."""

    meter: str
    tariff: Tariff
    cost: Cost

    def payload(self) -> dict[str, object]:
        """Return the JSON form, with rounded figures."""
        of = {
            "meter": self.meter,
            "tariff": self.tariff.name,
            "currency": self.tariff.currency,
        }
        shape = self.cost.payload()
        return {"start": shape.pop("start")} | of | shape


def house_total(rows: Sequence[CostRow], upstream: Upstream) -> Cost:
    """Add up the costs of several meters, at least one row.

    A meter whose energy another one of them measures adds only its fees.
    """
    contained = behind({row.meter for row in rows}, upstream)
    costs = (
        Cost(row.cost.start, fee=row.cost.fee) if row.meter in contained else row.cost
        for row in rows
    )
    return add_up(min(row.cost.start for row in rows), costs)


class Costs:
    """Computes costs."""

    def __init__(
        self,
        energies: EnergyStore,
        prices: PriceStore,
        contracts: Callable[[], Contracts],
        calendar: Calendar,
        clock: Clock,
    ) -> None:
        self._energies = energies
        self._prices = prices
        self._contracts = contracts
        self._calendar = calendar
        self._clock = clock
        self._recent: dict[str, tuple[datetime, datetime, _Contract]] = {}

    def tariff_of(self, meter: str) -> Tariff | None:
        """Return the tariff of a meter: the first one that covers it."""
        return tariff_of(meter, self._contracts().tariffs)

    @property
    def tariffs(self) -> Sequence[Tariff]:
        """The tariffs, in the order of the configuration."""
        return self._contracts().tariffs

    def price(self, tariff: Tariff, moment: datetime) -> HourPrice:
        """Return the price of a kWh in the hour of a moment. Raises UnavailableError."""
        hour = self._calendar.floor(moment, "hour")
        rows = self._prices.rows(tariff.name, hour, self._calendar.after(hour, "hour"))
        return HourPrices(tariff, PriceList(rows), self._calendar).of(hour)

    def tariff(self, name: str | None) -> Tariff:
        """Return the tariff of this name, or the only one.

        Raises CommandError (`invalid_payload`), or ConfigError when there is none at all.
        """
        known = {tariff.name: tariff for tariff in self._contracts().tariffs}
        if not known:
            raise ConfigError(
                "no tariff is configured: add [[tariffs]] with name, currency and import_price"
            )
        if name is None and len(known) > 1:
            sentence = f"there are several tariffs, name one of them: {', '.join(known)}"
            raise CommandError("invalid_payload", sentence)
        if name is not None and name not in known:
            sentence = f"there is no tariff {name!r}; {hint(name, known)}"
            raise CommandError("invalid_payload", sentence)
        return known[name] if name else next(iter(known.values()))

    def billed(self, query: CostQuery) -> dict[str, Tariff]:
        """Return the tariff of each selected meter. Raises as `tariff` does."""
        names = query.meters or self._contracts().meter_names
        if query.tariff or not self._contracts().tariffs:
            return dict.fromkeys(names, self.tariff(query.tariff))
        found = {name: self.tariff_of(name) for name in names}
        billed = {name: tariff for name, tariff in found.items() if tariff is not None}
        if not billed:
            asked = ", ".join(query.meters) or "any meter"
            raise ConfigError(f"no tariff covers {asked}: add it to meters of a tariff")
        return billed

    def read(self, query: CostQuery) -> Iterator[CostRow]:
        """Stream the costs, meter by meter in time order.

        Raises ConfigError, CommandError, and UnavailableError, also from the iterator.
        """
        billed = self.billed(query)
        span = (self._calendar.floor(query.since, query.period), query.until)
        contracts: dict[str, _Contract] = {}
        for meter, tariff in billed.items():
            if tariff.name not in contracts:
                meters = list(billed) if query.tariff else self._meters_of(tariff)
                contracts[tariff.name] = self._contract(tariff, meters, span, query.period)
            for cost in self._costs(meter, contracts[tariff.name], span):
                yield CostRow(meter, tariff, cost)

    def of_late(self, meter: str) -> dict[str, Any] | None:
        """Return what a meter has cost today and this month; None without a tariff.

        Raises UnavailableError.
        """
        tariff = self.tariff_of(meter)
        if tariff is None:
            return None
        now = self._clock()
        today, month = (self._calendar.floor(now, whole) for whole in ("day", "month"))
        contract = self._recent_contract(tariff, (month, now))
        days = list(self._costs(meter, contract, (month, now)))
        return {
            "at": iso(now),
            "tariff": tariff.name,
            "currency": tariff.currency,
            "today": add_up(today, (day for day in days if day.start == today)).payload(),
            "this_month": add_up(month, days).payload(),
        }

    def _recent_contract(self, tariff: Tariff, span: Span) -> "_Contract":
        """Return a contract by days, cached for a moment for the next meter."""
        month, now = span
        if known := self._recent.get(tariff.name):
            looked_up, since, contract = known
            if contract.tariff == tariff and since == month and now - looked_up < _RECENT:
                return contract
        contract = self._contract(tariff, self._meters_of(tariff), span, "day")
        self._recent[tariff.name] = now, month, contract
        return contract

    def _costs(self, meter: str, contract: "_Contract", span: Span) -> Iterator[Cost]:
        hours = self._energies.energies(meter, *span)
        return contract.table.costs(hours, bears_fee=contract.payer in {None, meter})

    def _contract(
        self, tariff: Tariff, meters: Sequence[str], span: Span, period: CostPeriod
    ) -> "_Contract":
        since, until = span
        rows = self._prices.rows(tariff.name, since, self._calendar.after(until, "hour"))
        prices = HourPrices(tariff, PriceList(rows), self._calendar)
        payer = None
        if not tariff.fee_for_each_meter:
            payer = self._energies.first_with_hours(meters, since, until)
        return _Contract(tariff, PriceTable(prices, self._calendar, period), payer)

    def _meters_of(self, tariff: Tariff) -> list[str]:
        """Return the meters of a contract, in the order of the configuration."""
        return [name for name in self._contracts().meter_names if self.tariff_of(name) == tariff]


@record
class _Contract:
    """A tariff with its prices; `payer` is the meter that carries the fees, None for all."""

    tariff: Tariff
    table: PriceTable
    payer: str | None
