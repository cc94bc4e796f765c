"""What the energy of the meters costs, by their tariffs, reckoned anew from the hours."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from esquirell.domain.clock import Clock
from esquirell.domain.cost import (
    ENERGY_KEYS,
    Cost,
    PriceList,
    PriceRow,
    Reckoner,
    add_up,
    by_period,
)
from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.reading import iso
from esquirell.domain.statistic import Statistic
from esquirell.domain.tariff import Tariff


class HoursStore(Protocol):
    """Knows what the meters measured hour by hour."""

    def hours(
        self, meter: str, since: datetime, until: datetime, keys: Collection[str]
    ) -> Iterator[Statistic]:
        """Stream the hours of a meter in time order. Raises UnavailableError."""
        ...


class PriceStore(Protocol):
    """Keeps the imported prices."""

    def rows(self, tariff: str, since: datetime, until: datetime) -> list[PriceRow]:
        """Give the rows that hold within a span, in time order. Raises UnavailableError."""
        ...


class Costs:
    """Reckons costs; nothing is stored, so that a corrected price corrects the past, too."""

    def __init__(
        self,
        hours: HoursStore,
        prices: PriceStore,
        tariffs: Callable[[], Sequence[Tariff]],
        calendar: Calendar,
        clock: Clock,
    ) -> None:
        self._hours = hours
        self._prices = prices
        self._tariffs = tariffs
        self._calendar = calendar
        self._clock = clock

    def tariff_of(self, meter: str) -> Tariff | None:
        """Give the tariff of a meter: the first one that covers it."""
        return next((one for one in self._tariffs() if one.covers(meter)), None)

    def by_period(
        self, meter: str, tariff: Tariff, span: tuple[datetime, datetime], resolution: Resolution
    ) -> Iterator[Cost]:
        """Stream what the periods cost that begin within a span, and the one it begins in.

        Raises UnavailableError, also from the iterator.
        """
        since = self._calendar.floor(span[0], resolution)
        hours = self._reckoned(meter, tariff, since, span[1])
        return by_period(hours, self._calendar, resolution)

    def of_late(self, meter: str) -> dict[str, Any] | None:
        """Tell what a meter has cost today and this month, None without a tariff.

        Raises UnavailableError.
        """
        tariff = self.tariff_of(meter)
        if tariff is None:
            return None
        now = self._clock()
        today, month = (self._calendar.floor(now, whole) for whole in ("day", "month"))
        hours = list(self._reckoned(meter, tariff, month, now))
        return {
            "at": iso(now),
            "tariff": tariff.name,
            "currency": tariff.currency,
            "today": add_up(today, (one for one in hours if one.start >= today)).payload(),
            "this_month": add_up(month, hours).payload(),
        }

    def _reckoned(
        self, meter: str, tariff: Tariff, since: datetime, until: datetime
    ) -> Iterator[Cost]:
        prices = PriceList(
            self._prices.rows(tariff.name, since, self._calendar.after(until, "hour"))
        )
        reckoner = Reckoner(tariff, prices, self._calendar)
        for hour in self._hours.hours(meter, since, until, ENERGY_KEYS):
            yield reckoner.hour(hour)
