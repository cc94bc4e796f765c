"""Formats numbers, times and quantities for people, by language and time zone."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from datetime import date as calendar_date
from zoneinfo import ZoneInfo

from esquirell.domain.quantity import PHASES, QUANTITIES, is_quantity_key, split_key
from esquirell.domain.record import record
from esquirell.domain.statistic import EXTREMES, PEAK_DEMAND, quantity_of
from esquirell.web.texts import DEFAULT, Texts, texts_of

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
_KEY = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
# From here on, power is shown in kW.
_KILO = 10_000
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "PLN": "zł", "CZK": "Kč"}


@record
class GridColumn:
    """A column of a grid: the whole device, a phase or a channel."""

    suffix: str
    title: str


@record
class GridRow:
    """A row of a grid: a quantity, its unit, and its quantity keys by suffix."""

    title: str
    unit: str
    keys: Mapping[str, str]


@record
class Grid:
    """Quantity keys as a table: energies first, a column per phase or channel."""

    parts: tuple[GridColumn, ...]
    rows: tuple[GridRow, ...]


class Formats:
    """Formats values in a language and a time zone."""

    def __init__(self, texts: Texts, zone: str) -> None:
        self._texts = texts
        self._zone = ZoneInfo(zone)
        self._decimal = texts("format.decimal")
        self._group = texts("format.group")

    def number(self, value: float | None, decimals: int = 0) -> str:
        """Format a number; None becomes a dash."""
        if value is None:
            return NOTHING
        rounded = round(value, decimals) + 0.0
        text = f"{abs(rounded):,.{decimals}f}"
        text = text.replace(",", "\0").replace(".", self._decimal).replace("\0", self._group)
        return f"{MINUS}{text}" if rounded < 0 else text

    def with_unit(self, value: float | None, unit: str, decimals: int = 0) -> str:
        """Format a number with its unit, without a line break between them."""
        text = self.number(value, decimals)
        return f"{text}{NARROW_SPACE}{unit}" if unit and value is not None else text

    def power(self, watts: float | None) -> str:
        """Format a power in W, or in kW if it is large."""
        if watts is not None and abs(watts) >= _KILO:
            return self.with_unit(watts / 1000, "kW", 2)
        return self.with_unit(watts, "W")

    def energy(self, kilowatt_hours: float | None) -> str:
        """Format an energy in kWh."""
        return self.with_unit(kilowatt_hours, "kWh", 2)

    def money(self, amount: float | None, currency: str) -> str:
        """Format an amount of money."""
        return self.with_unit(amount, currency_sign(currency), 2)

    def quantity(self, key: str, value: object) -> str:
        """Format the value of a quantity key, or of a statistic of it, with its unit."""
        kind = quantity_of(_plain(key))
        if not isinstance(value, int | float):
            return NOTHING
        return self.with_unit(value, kind.unit, kind.precision)

    def plain(self, key: str, value: object) -> str:
        """Format the value of a quantity key without its unit."""
        if not isinstance(value, int | float):
            return NOTHING
        return self.number(value, quantity_of(key).precision)

    def grid(self, keys: Sequence[str]) -> Grid:
        """Arrange quantity keys as a grid: a row per quantity, a column per phase or channel."""
        by_quantity: dict[str, dict[str, str]] = {}
        for key in keys:
            kind, suffix = split_key(key)
            by_quantity.setdefault(kind.key, {})[suffix] = key
        suffixes = sorted({suffix for row in by_quantity.values() for suffix in row})
        parts = tuple(
            GridColumn(one, self._part(one) if one else self._texts("part.total"))
            for one in suffixes
        )
        rows = (
            GridRow(self._texts(f"quantity.{name}"), QUANTITIES[name].unit, found)
            for name, found in by_quantity.items()
        )
        return Grid(parts, tuple(rows))

    def label(self, key: str) -> str:
        """Return the name of a quantity key or of a statistic: `Power, phase A`, `Power, mean`."""
        if key == PEAK_DEMAND:
            return self._texts("quantity.peak_demand")
        plain = _plain(key)
        kind, suffix = split_key(plain)
        parts = [self._texts(f"quantity.{kind.key}")]
        if suffix:
            parts.append(self._part(suffix))
        if plain != key:
            parts.append(self._texts(f"figure.{key.rpartition('_')[2]}"))
        return ", ".join(parts)

    def sentence(self, text: str) -> str:
        """Replace the quantity keys in a sentence of the program by names: `Voltage (phase B)`.

        Such sentences are in English in every language of the page, and so are the names.
        """
        english = Formats(texts_of(DEFAULT), self._zone.key)
        return _KEY.sub(lambda found: english._named(found[0]), text)

    def _named(self, word: str) -> str:
        if not is_quantity_key(word):
            return word
        name, _, part = self.label(word).partition(", ")
        return f"{name} ({part})" if part else name

    def _part(self, suffix: str) -> str:
        if suffix in PHASES:
            return self._texts("part.phase", name=suffix.upper())
        if suffix.isdecimal():
            return self._texts("part.channel", name=suffix)
        return self._texts.get(f"part.{suffix}", suffix.replace("_", " ").upper())

    def time(self, moment: datetime) -> str:
        """Format the time of day, to the second."""
        return moment.astimezone(self._zone).strftime(self._texts("format.time"))

    def date(self, moment: datetime) -> str:
        """Format the date of a moment."""
        return self._text_of(moment.astimezone(self._zone).date(), self._texts("format.date"))

    def day(self, day: calendar_date) -> str:
        """Format a calendar date."""
        return self._text_of(day, self._texts("format.date"))

    def moment(self, moment: datetime | str | None) -> str:
        """Format date and time; today's without the date."""
        if moment is None:
            return NOTHING
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        local = when.astimezone(self._zone)
        if local.date() == datetime.now(self._zone).date():
            return self.time(when)
        return f"{self.date(when)}, {self.time(when)}"

    def span(self, seconds: float) -> str:
        """Format a duration: `12 s`, `5 min`, `3 h`, `2 days`."""
        if seconds < _MINUTE_S:
            return self._texts("span.seconds", count=max(0, round(seconds)))
        if seconds < _HOUR_S:
            return self._texts("span.minutes", count=round(seconds / _MINUTE_S))
        if seconds < _DAY_S:
            return self._texts("span.hours", count=round(seconds / _HOUR_S))
        return self._texts.counted("span.days", round(seconds / _DAY_S))

    def every(self, seconds: int) -> str:
        """Format an interval: `every 10 s`, `every 5 min`, `every hour`."""
        for length, key in ((_DAY_S, "day"), (_HOUR_S, "hour"), (_MINUTE_S, "minute")):
            if seconds % length == 0:
                return self._texts.counted(f"every.{key}", seconds // length)
        return self._texts.counted("every.second", seconds)

    def ago(self, moment: datetime | None) -> str:
        """Format how long ago a moment was."""
        if moment is None:
            return self._texts("span.never")
        return self._texts("span.ago", span=self.span((datetime.now(UTC) - moment).total_seconds()))

    def until(self, moment: datetime | str | None) -> str:
        """Format the time left until a moment."""
        if moment is None:
            return NOTHING
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return self._texts("span.in", span=self.span((when - datetime.now(UTC)).total_seconds()))

    def size(self, count: int) -> str:
        """Format a number of bytes."""
        for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
            if count >= length:
                return self.with_unit(count / length, unit, 1)
        return self.with_unit(count, "B")

    def _text_of(self, day: calendar_date, form: str) -> str:
        month = self._texts(f"month.{day.month}")
        weekday = self._texts(f"weekday.{day.isoweekday()}")
        return form.format(day=day.day, month=month, year=day.year, weekday=weekday)


def currency_sign(code: str) -> str:
    """Return the sign of a well-known currency, otherwise its ISO 4217 code."""
    return _SIGNS.get(code, code)


def by_energy_first(values: Mapping[str, object]) -> list[str]:
    """Return the quantity keys of values: energies first, then powers, then the rest."""
    known = [key for key in values if _is_quantity(key)]
    return sorted(known, key=_rank)


def _is_quantity(key: str) -> bool:
    try:
        split_key(key)
    except KeyError:
        return False
    return True


def _rank(key: str) -> tuple[int, int, str]:
    kind, suffix = split_key(key)
    order = {"energy": 0, "power": 1, "voltage": 2, "current": 3}
    place = list(QUANTITIES).index(kind.key)
    return order.get(kind.device_class, 4), place, suffix


def _plain(key: str) -> str:
    head, _, tail = key.rpartition("_")
    return head if tail in EXTREMES else key
