"""A tariff as configured: the price of a kWh, and when it is valid."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from esquirell.domain.meter import Slug
from esquirell.domain.record import record

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
QUARTER_MINUTES = 15
MIDNIGHT = time()
CURRENCY_LETTERS = 3

_DAY = timedelta(days=1)


def check_quarter(moment: time) -> time:
    """Validate a time of day. Raises ValueError unless it is local and on a quarter of an hour."""
    if moment.tzinfo is not None:
        raise ValueError("must be a time without a zone: it is in the configured one")
    if moment.minute % QUARTER_MINUTES or moment.second or moment.microsecond:
        raise ValueError('must be at a quarter of an hour, such as "22:00" or "06:30"')
    return moment


def check_currency(code: str) -> str:
    """Validate a currency. Raises ValueError unless it has the form of ISO 4217."""
    if not (len(code) == CURRENCY_LETTERS and code.isascii() and code.isalpha() and code.isupper()):
        raise ValueError('must be the three letters of ISO 4217, such as "EUR"')
    return code


Price = Annotated[Decimal, Field(ge=-1000000, le=1000000)]
Fee = Annotated[Decimal, Field(ge=0, le=1000000)]
TimeOfDay = Annotated[time, AfterValidator(check_quarter)]


@record
class Prices:
    """The price of an imported kWh, and the credit for an exported one; None if not configured."""

    bought: Decimal | None = None
    sold: Decimal | None = None

    def over(self, other: "Prices") -> "Prices":
        """Return these prices, with missing ones taken from `other`."""
        return Prices(
            other.bought if self.bought is None else self.bought,
            other.sold if self.sold is None else self.sold,
        )


class Window(BaseModel):
    """A part of the day with prices of its own, on some weekdays, between two dates.

    It lasts from `begin` until just before `end`, in local time; if `end` is not after `begin` it
    ends on the next day, and the weekday is that of its start. `valid_until` is the first day on
    which it is no longer valid. A missing price is taken from the tariff.
    """

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    begin: TimeOfDay = MIDNIGHT
    end: TimeOfDay = MIDNIGHT
    weekdays: tuple[Weekday, ...] = WEEKDAYS
    valid_from: date | None = None
    valid_until: date | None = None
    import_price: Price | None = None
    export_price: Price | None = None

    @property
    def prices(self) -> Prices:
        """The prices during this window."""
        return Prices(self.import_price, self.export_price)

    def holds(self, local: datetime) -> bool:
        """Whether a moment, in local time, is within this window."""
        today = local.date()
        if self.valid_from is not None and today < self.valid_from:
            return False
        if self.valid_until is not None and today >= self.valid_until:
            return False
        now = local.time()
        if self.begin < self.end:
            return self.begin <= now < self.end and self._begins_on(today)
        if now >= self.begin:
            return self._begins_on(today)
        return now < self.end and self._begins_on(today - _DAY)

    def _begins_on(self, day: date) -> bool:
        return WEEKDAYS[day.weekday()] in self.weekdays


class Tariff(BaseModel):
    """The cost of energy for some meters (null: all), in a currency by ISO 4217.

    Prices are per kWh; the first valid window with a price overrides them, and an imported price
    overrides both. Fees are charged once per contract, however many meters it has, unless
    `fee_for_each_meter` says that each meter has its own contract.
    """

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    name: Slug
    meters: tuple[Slug, ...] | None = None
    currency: Annotated[str, AfterValidator(check_currency)]
    import_price: Price | None = None
    export_price: Price | None = None
    fee_per_day: Fee = Decimal(0)
    fee_per_month: Fee = Decimal(0)
    fee_for_each_meter: bool = False
    windows: tuple[Window, ...] = ()

    def covers(self, meter: str) -> bool:
        """Whether this tariff applies to a meter."""
        return self.meters is None or meter in self.meters

    def prices(self, local: datetime) -> Prices:
        """Return the prices at a moment, in local time."""
        return _first(window.prices for window in self.windows if window.holds(local)).over(
            Prices(self.import_price, self.export_price)
        )


def tariff_of(meter: str, tariffs: Iterable[Tariff]) -> Tariff | None:
    """Return the tariff of a meter: the first one that covers it."""
    return next((one for one in tariffs if one.covers(meter)), None)


def _first(several: Iterable[Prices]) -> Prices:
    found = Prices()
    for prices in several:
        found = found.over(prices)
    return found
