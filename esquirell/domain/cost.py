"""The cost of the energy of an hour, a day or a month.

Money is computed in decimals and rounded only for display: adding rounded figures would differ
from the total.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from esquirell.domain.periods import Calendar, Period
from esquirell.domain.reading import iso
from esquirell.domain.record import record
from esquirell.domain.tariff import Prices, Tariff

# A hundredth of a cent, as an hour of a small load costs little.
DECIMALS = 4

# An hour of a meter: its start, and its import and export in millionths of a kWh.
HourlyEnergy = tuple[datetime, int, int]

_QUARTER = timedelta(minutes=15)
_NOTHING = Decimal(0)
_MILLIONTHS = Decimal(1_000_000)


@record
class PriceRow:
    """Prices from a moment until the next row; empty ones are taken from the tariff."""

    start: datetime
    prices: Prices


class PriceList:
    """The imported prices of a tariff; its rows are in time order."""

    def __init__(self, rows: Sequence[PriceRow] = ()) -> None:
        self._rows = rows
        self._starts = [row.start for row in rows]

    def at(self, moment: datetime) -> Prices:
        """Return the prices at a moment; empty before the first row."""
        number = bisect_right(self._starts, moment)
        return self._rows[number - 1].prices if number else Prices()


@record
class Cost:
    """The cost of a period in the currency of its tariff; energies are in kWh.

    `unpriced` is imported energy without a price, which `bought` does not include.
    """

    start: datetime
    energy_import: Decimal = _NOTHING
    energy_export: Decimal = _NOTHING
    bought: Decimal = _NOTHING
    sold: Decimal = _NOTHING
    fee: Decimal = _NOTHING
    unpriced: Decimal = _NOTHING

    @property
    def total(self) -> Decimal:
        """The amount due; negative if it is a credit."""
        return self.bought - self.sold + self.fee

    def payload(self) -> dict[str, object]:
        """Return the JSON form, with rounded figures."""
        figures = {
            "energy_import": self.energy_import,
            "import_cost": self.bought,
            "energy_export": self.energy_export,
            "export_credit": self.sold,
            "fee": self.fee,
            "total": self.total,
            "unpriced": self.unpriced,
        }
        return {"start": iso(self.start)} | {
            key: round(float(figure), DECIMALS) for key, figure in figures.items()
        }


@record
class HourPrice:
    """The price of a kWh bought and sold in an hour, as the mean of its quarters.

    `unpriced` is the fraction of the hour without a price, `fee` the hour's share of the fees.
    """

    bought: Decimal
    sold: Decimal
    unpriced: Decimal
    fee: Decimal


class HourPrices:
    """The hourly prices of one tariff."""

    def __init__(self, tariff: Tariff, imported: PriceList, calendar: Calendar) -> None:
        self._tariff = tariff
        self._imported = imported
        self._calendar = calendar
        self._zone = ZoneInfo(calendar.zone)

    def of(self, start: datetime) -> HourPrice:
        """Return the price of an hour, assuming that its energy is used evenly."""
        end = self._calendar.after(start, "hour")
        moments = [start + number * _QUARTER for number in range((end - start) // _QUARTER)]
        prices = [self._prices(moment) for moment in moments]
        paid = [price.bought for price in prices if price.bought is not None]
        earned = [price.sold for price in prices if price.sold is not None]
        return HourPrice(
            sum(paid, _NOTHING) / len(moments),
            sum(earned, _NOTHING) / len(moments),
            Decimal(len(moments) - len(paid)) / len(moments),
            self._fee(start, end),
        )

    def _prices(self, moment: datetime) -> Prices:
        return self._imported.at(moment).over(self._tariff.prices(moment.astimezone(self._zone)))

    def _fee(self, start: datetime, end: datetime) -> Decimal:
        """Return an hour's share of the fees: a day may have 23 or 25 hours."""
        tariff = self._tariff
        share = _NOTHING
        if tariff.fee_per_day:
            share += tariff.fee_per_day * self._part(start, end, "day")
        if tariff.fee_per_month:
            share += tariff.fee_per_month * self._part(start, end, "month")
        return share

    def _part(self, start: datetime, end: datetime, whole: Period) -> Decimal:
        begin = self._calendar.floor(start, whole)
        length = self._calendar.after(begin, whole) - begin
        return Decimal((end - start) // _QUARTER) / Decimal(length // _QUARTER)


class PriceTable:
    """Adds up hours to periods; the price of each hour is looked up once.

    Only sums are multiplied: the energies of all hours of a period with the same price.
    """

    def __init__(self, prices: HourPrices, calendar: Calendar, period: Period) -> None:
        self._prices = prices
        self._calendar = calendar
        self._period = period
        self._hours: dict[datetime, tuple[datetime, HourPrice]] = {}
        self._same: dict[HourPrice, HourPrice] = {}

    def costs(self, hours: Iterable[HourlyEnergy], *, bears_fee: bool) -> Iterator[Cost]:
        """Return the cost of each period; the hours of one meter must be in time order.

        A meter that does not carry the fees of its contract has none.
        """
        current: datetime | None = None
        sums: dict[int, _Sum] = {}
        for start, imported, exported in hours:
            period, price = self._hours.get(start) or self._look_up(start)
            if period != current:
                if current is not None:
                    yield _cost(current, sums.values(), bears_fee=bears_fee)
                current, sums = period, {}
            found = sums.get(id(price))
            if found is None:
                found = sums[id(price)] = _Sum(price)
            found.imported += imported
            found.exported += exported
            found.hours += 1
        if current is not None:
            yield _cost(current, sums.values(), bears_fee=bears_fee)

    def _look_up(self, start: datetime) -> tuple[datetime, HourPrice]:
        price = self._prices.of(start)
        found = self._calendar.floor(start, self._period), self._same.setdefault(price, price)
        self._hours[start] = found
        return found


@dataclass(slots=True)
class _Sum:
    """The hours of one price within a period; energies are millionths of a kWh."""

    price: HourPrice
    imported: int = 0
    exported: int = 0
    hours: int = 0


def _cost(start: datetime, sums: Iterable[_Sum], *, bears_fee: bool) -> Cost:
    return add_up(start, (_part(start, one, bears_fee=bears_fee) for one in sums))


def _part(start: datetime, one: _Sum, *, bears_fee: bool) -> Cost:
    bought, sold = one.imported / _MILLIONTHS, one.exported / _MILLIONTHS
    return Cost(
        start,
        bought,
        sold,
        bought * one.price.bought,
        sold * one.price.sold,
        one.hours * one.price.fee if bears_fee else _NOTHING,
        bought * one.price.unpriced,
    )


def add_up(start: datetime, parts: Iterable[Cost]) -> Cost:
    """Add costs up to one that begins at `start`."""
    whole = Cost(start)
    for part in parts:
        whole = Cost(
            start,
            whole.energy_import + part.energy_import,
            whole.energy_export + part.energy_export,
            whole.bought + part.bought,
            whole.sold + part.sold,
            whole.fee + part.fee,
            whole.unpriced + part.unpriced,
        )
    return whole
