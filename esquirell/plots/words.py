"""The words in a chart, in one language; English by default."""

from datetime import datetime

from esquirell.domain.periods import Period
from esquirell.domain.record import record

MINUS = "\N{MINUS SIGN}"
RANGE = "\N{EN DASH}"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@record
class Words:
    """The words of a language, and its formats of numbers and dates; weeks begin on Monday."""

    months: tuple[str, ...] = _MONTHS
    weekdays: tuple[str, ...] = _WEEKDAYS
    decimal: str = "."
    group: str = ","
    estimated: str = "estimated"
    unexplained: str = "{name}, not explained"
    others: str = "{count} others"
    left_out: str = "{count} more are not shown: name one of them"
    nothing: str = "Nothing is stored for this time"
    date: str = "{weekday} {day} {month}"

    def number(self, value: float, decimals: int) -> str:
        """Return a number as text; a value that rounds to zero has no sign."""
        rounded = round(value, decimals) + 0.0
        text = f"{abs(rounded):,.{decimals}f}"
        text = text.replace(",", "\0").replace(".", self.decimal).replace("\0", self.group)
        return f"{MINUS}{text}" if rounded < 0 else text

    def month(self, local: datetime) -> str:
        """Return the month of a local moment in words."""
        return self.months[local.month - 1]

    def day(self, local: datetime) -> str:
        """Return a local date without its year."""
        weekday = self.weekdays[local.weekday()]
        return self.date.format(weekday=weekday, day=local.day, month=self.month(local))

    def period(self, local: datetime, period: Period) -> str:
        """Return the name of the period that begins at a local moment."""
        match period:
            case "year":
                return f"{local:%Y}"
            case "month":
                return f"{self.month(local)} {local:%Y}"
            case "day":
                return f"{self.day(local)} {local:%Y}"
        return f"{self.day(local)} {local:%Y, %H:%M}"


ENGLISH = Words()
