"""Statistics: what a meter measured within an hour, a day or a month."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

from esquirell.domain.periods import Resolution
from esquirell.domain.quantity import Quantity, split_key
from esquirell.domain.record import record

# Within a longer gap between two readings it is unknown when energy was used.
USUAL_GAP_S = 900.0
# Shifting this much past the end of an hour, by a clock or a slow poll, is no estimate.
SHIFTED_S = 60.0
# Decimals of a kWh: a millionth is far below any meter's resolution.
DECIMALS = 6
# A longer gap is distributed over its last year.
LONGEST_GAP_S = 366 * 86_400.0

# Highest mean of a quarter of an hour, in kW: what suppliers bill as demand.
PEAK_DEMAND = "peak_demand"
_DEMAND = Quantity(PEAK_DEMAND, "kW", "power", "measurement", 3, "Peak demand", (0, 5e3))
EXTREMES = ("min", "mean", "max")
HOUR_S = 3600.0


class Sample(NamedTuple):
    """An accepted sum (kWh) at a moment (unix time in s)."""

    at: float
    kwh: float


class Booking(NamedTuple):
    """Energy (kWh) used evenly from `begin` to `end` (unix time in s)."""

    begin: float
    end: float
    kwh: float

    def share(self, begin: float, end: float) -> float:
        """Return the energy (kWh) between two moments.

        The shares of all hours of a gap add up exactly, rounded as they are stored: each is the
        difference of two rounded sums.
        """
        return self._until(end) - self._until(begin) if end > begin else 0.0

    def _until(self, moment: float) -> float:
        part = (min(max(moment, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(self.kwh * part, DECIMALS)

    def is_guess(self, begin: float, end: float) -> bool:
        """Whether it is unknown how much of it was used between these moments."""
        length = self.end - self.begin
        if not self.kwh or length <= USUAL_GAP_S:
            return False
        overlap = min(self.end, end) - max(self.begin, begin)
        return overlap >= end - begin or min(overlap, length - overlap) > SHIFTED_S


def book(
    last: Sample, moments: Sequence[float], sums: Sequence[float]
) -> tuple[list[Booking], Sample]:
    """Return the energy used since `last`, and the sample to continue from.

    `sums` belong to `moments`, at least one; all energy after the first of them is one booking. The
    bookings never exceed the rise of the highest sum.
    """
    bookings = []
    first = Sample(moments[0], sums[0])
    if first.kwh >= last.kwh:
        bookings.append(_between(last, first))
        last = first
    highest = max(sums)
    if highest >= last.kwh:
        place = len(sums) - 1
        while sums[place] != highest:
            place -= 1
        following = Sample(moments[place], highest)
        bookings.append(_between(last, following))
        last = following
    return [booking for booking in bookings if booking.end > booking.begin], last


def _between(before: Sample, after: Sample) -> Booking:
    begin = max(before.at, after.at - LONGEST_GAP_S)
    return Booking(begin, after.at, after.kwh - before.kwh)


@record
class Statistic:
    """What a meter measured in the period that begins at `start`.

    `values` holds kWh for each energy key, `_min`, `_mean` and `_max` for any other key, and
    `peak_demand`; `readings` counts the readings within, `hours` the hours that have any. `seconds`
    is for how long its values were known, None if it was computed by an earlier version.
    `estimated`: energy of a gap was distributed evenly over this and other periods.
    """

    meter: str
    start: datetime
    values: Mapping[str, float]
    readings: int = 0
    hours: int = 0
    seconds: float | None = None
    estimated: bool = False

    @property
    def weight(self) -> float:
        """For how long (s) its values were known: the weight of its means in a longer period."""
        return HOUR_S * self.hours if self.seconds is None else self.seconds


@record
class Periods:
    """Selects the statistics of periods that begin from `since` until just before `until`.

    `names` limits the values.
    """

    resolution: Resolution
    since: datetime
    until: datetime
    names: Collection[str] | None = None


@record
class Watermark:
    """The last reading up to which statistics of a meter are computed, and in which zone.

    Up to `pruned_to` the readings are thinned out.
    """

    done_to: datetime
    zone: str
    pruned_to: datetime | None = None


@record
class Progress:
    """The first and last reading of a meter, and the last one in the statistics, if any."""

    first: datetime
    last: datetime
    done_to: datetime | None

    @property
    def whole(self) -> timedelta:
        """The time span of its readings."""
        return self.last - self.first

    @property
    def done(self) -> timedelta:
        """How much of that is computed."""
        return max(timedelta(), min(self.done_to or self.first, self.last) - self.first)


@cache
def quantity_of(name: str) -> Quantity:
    """Return the quantity of a statistic's name or of a quantity key.

    Raises KeyError for an unknown quantity.
    """
    return _DEMAND if name == PEAK_DEMAND else split_key(name)[0]


@cache
def is_energy(key: str) -> bool:
    """Return whether a quantity key is a counter of energy."""
    return quantity_of(key).state_class == "total_increasing"


@cache
def names_of(key: str) -> tuple[str, ...]:
    """Return the names of a quantity key in a statistic."""
    return (
        (key,)
        if is_energy(key) or key == PEAK_DEMAND
        else tuple(f"{key}_{part}" for part in EXTREMES)
    )


def extremes(key: str, least: float, mean: float, greatest: float) -> dict[str, float]:
    """Return the minimum, mean and maximum of a key by their names."""
    figures = (least, mean, greatest)
    return dict(zip(names_of(key), (round(one, DECIMALS) for one in figures), strict=True))


def combine(start: datetime, parts: Sequence[Statistic], *, estimated: bool = False) -> Statistic:
    """Combine hours to a day, or days to a month; `parts` are in order, at least one.

    Energies are summed up, means are weighted by the time for which their values were known.
    """
    energies: dict[str, float] = {}
    for part in parts:
        for name, value in part.values.items():
            if is_energy(name):
                energies[name] = energies.get(name, 0.0) + value
    values = {name: round(value, DECIMALS) for name, value in energies.items()}
    values |= by_time([(part, part.weight) for part in parts])
    return Statistic(
        parts[0].meter,
        start,
        values,
        sum(part.readings for part in parts),
        sum(part.hours for part in parts),
        round(sum(part.weight for part in parts), 3),
        estimated,
    )


def by_time(parts: Sequence[tuple[Statistic, float]]) -> dict[str, float]:
    """Combine everything but energies: each value with its weight (s)."""
    names = dict.fromkeys(name for part, _ in parts for name in part.values if not is_energy(name))
    return {name: round(_combined(name, parts), DECIMALS) for name in names}


def _combined(name: str, parts: Sequence[tuple[Statistic, float]]) -> float:
    found = [(part.values[name], weight) for part, weight in parts if name in part.values]
    values = [value for value, _ in found]
    if name.endswith("_min"):
        return min(values)
    if not name.endswith("_mean"):
        return max(values)
    total = sum(weight for _, weight in found)
    if not total:
        return sum(values) / len(values)
    return sum(value * weight for value, weight in found) / total
