"""What the energy of an hour, a day or a month costs.

Money is reckoned in decimals, never rounded before it is shown: rounded figures that are added
up would differ from the whole.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.quantity import PHASES
from esquirell.domain.reading import iso
from esquirell.domain.statistic import Statistic
from esquirell.domain.tariff import Prices, Tariff

IMPORT, EXPORT = "energy_import", "energy_export"
# The total of a meter, or where it has none its phases.
ENERGY_KEYS = tuple(
    f"{key}{suffix}" for key in (IMPORT, EXPORT) for suffix in ("", "_a", "_b", "_c")
)
# A hundredth of a cent: an hour of a small load is not nothing.
DECIMALS = 4

_QUARTER = timedelta(minutes=15)
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Prices from a moment until the next row's; empty ones leave it to the tariff."""

    start: datetime
    prices: Prices


class PriceList:
    """The imported prices of a tariff; its rows are in order of time."""

    def __init__(self, rows: Sequence[PriceRow] = ()) -> None:
        self._rows = rows
        self._starts = [row.start for row in rows]

    def at(self, moment: datetime) -> Prices:
        """Give the prices at a moment; empty before the first row."""
        number = bisect_right(self._starts, moment)
        return self._rows[number - 1].prices if number else Prices()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a period cost, in the currency of its tariff; energies are kWh.

    `unpriced` is the imported energy for which there was no price, and which is not in `bought`.
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
        """What is to be paid; below zero it is to be received."""
        return self.bought - self.sold + self.fee

    def payload(self) -> dict[str, object]:
        """Lay it out as it is shown and published, rounded."""
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


class Reckoner:
    """Reckons what hours cost by one tariff."""

    def __init__(self, tariff: Tariff, imported: PriceList, calendar: Calendar) -> None:
        self._tariff = tariff
        self._imported = imported
        self._calendar = calendar
        self._zone = ZoneInfo(calendar.zone)

    def hour(self, statistic: Statistic) -> Cost:
        """Reckon an hour; its energy counts as used evenly, a price by its quarters."""
        start = statistic.start
        end = self._calendar.after(start, "hour")
        moments = _quarters(start, end)
        bought, sold = (energy_of(statistic.values, key) for key in (IMPORT, EXPORT))
        prices = [self._prices(moment) for moment in moments]
        paid = [one.bought for one in prices if one.bought is not None]
        earned = [one.sold for one in prices if one.sold is not None]
        return Cost(
            start,
            bought,
            sold,
            bought * sum(paid) / len(moments),
            sold * sum(earned) / len(moments),
            self._fee(start, end),
            bought * (len(moments) - len(paid)) / len(moments),
        )

    def _prices(self, moment: datetime) -> Prices:
        return self._imported.at(moment).over(self._tariff.prices(moment.astimezone(self._zone)))

    def _fee(self, start: datetime, end: datetime) -> Decimal:
        """Give an hour's share of the fees: a day may have 23 or 25 of them."""
        tariff = self._tariff
        share = _NOTHING
        if tariff.fee_per_day:
            share += tariff.fee_per_day * self._part(start, end, "day")
        if tariff.fee_per_month:
            share += tariff.fee_per_month * self._part(start, end, "month")
        return share

    def _part(self, start: datetime, end: datetime, whole: Resolution) -> Decimal:
        begin = self._calendar.floor(start, whole)
        length = self._calendar.after(begin, whole) - begin
        return Decimal((end - start) // _QUARTER) / Decimal(length // _QUARTER)


def energy_of(values: Mapping[str, float], key: str) -> Decimal:
    """Give the kWh of a meter: its total, or the sum of its phases where it has none."""
    if key in values:
        return Decimal(str(values[key]))
    phases = (values.get(f"{key}_{phase}", 0.0) for phase in PHASES)
    return sum((Decimal(str(value)) for value in phases), _NOTHING)


def by_period(hours: Iterable[Cost], calendar: Calendar, resolution: Resolution) -> Iterator[Cost]:
    """Add hours, in order of time, up to periods."""
    for start, parts in groupby(hours, lambda one: calendar.floor(one.start, resolution)):
        yield add_up(start, parts)


def add_up(start: datetime, parts: Iterable[Cost]) -> Cost:
    """Add costs up to one that begins at `start`."""
    whole = Cost(start)
    for one in parts:
        whole = Cost(
            start,
            whole.energy_import + one.energy_import,
            whole.energy_export + one.energy_export,
            whole.bought + one.bought,
            whole.sold + one.sold,
            whole.fee + one.fee,
            whole.unpriced + one.unpriced,
        )
    return whole


def _quarters(start: datetime, end: datetime) -> list[datetime]:
    return [start + number * _QUARTER for number in range((end - start) // _QUARTER)]
