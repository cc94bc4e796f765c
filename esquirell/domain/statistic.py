"""Statistics: what a meter measured within an hour, a day or a month."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache

from esquirell.domain.booking import DECIMALS
from esquirell.domain.periods import Resolution
from esquirell.domain.quantity import Quantity, split_key
from esquirell.domain.record import record

# Highest mean of a quarter of an hour, in kW: what suppliers bill as demand.
PEAK_DEMAND = "peak_demand"
_DEMAND = Quantity(PEAK_DEMAND, "kW", "power", "measurement", 3, "Peak demand", (0, 5e3))
EXTREMES = ("min", "mean", "max")
HOUR_S = 3600.0


@record
class Statistic:
    """What a meter measured in the period that begins at `start`.

    `values` holds kWh for each energy key, `_min`, `_mean` and `_max` for each other key, and
    `peak_demand`; `readings` counts the readings within, `hours` the hours that have any.
    `seconds` is for how long its values were known, None where an earlier version worked it up.
    `estimated`: energy of a gap was spread evenly over this and other periods.
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
        """For how long (s) its values were known: what its means count in those of a longer one."""
        return HOUR_S * self.hours if self.seconds is None else self.seconds


@record
class Periods:
    """Which statistics: of the periods that begin from `since` until just before `until`.

    `names` limits the values.
    """

    resolution: Resolution
    since: datetime
    until: datetime
    names: Collection[str] | None = None


@record
class Watermark:
    """Up to which reading, included, a meter is worked up, and in which zone.

    Up to `pruned_to` its readings are thinned out.
    """

    done_to: datetime
    zone: str
    pruned_to: datetime | None = None


@record
class Progress:
    """The first and the last reading of a meter, and up to which one it is worked up, if any."""

    first: datetime
    last: datetime
    done_to: datetime | None

    @property
    def whole(self) -> timedelta:
        """How much time its readings take."""
        return self.last - self.first

    @property
    def done(self) -> timedelta:
        """How much of that is computed."""
        return max(timedelta(), min(self.done_to or self.first, self.last) - self.first)


@cache
def quantity_of(name: str) -> Quantity:
    """Return the quantity of a name in a statistic, or of a quantity key.

    Raises KeyError for a name of no known quantity.
    """
    return _DEMAND if name == PEAK_DEMAND else split_key(name)[0]


@cache
def is_energy(key: str) -> bool:
    """Return whether a quantity key is a counter of energy."""
    return quantity_of(key).state_class == "total_increasing"


@cache
def names_of(key: str) -> tuple[str, ...]:
    """Return what a quantity key is called in a statistic."""
    return (
        (key,)
        if is_energy(key) or key == PEAK_DEMAND
        else tuple(f"{key}_{part}" for part in EXTREMES)
    )


def extremes(key: str, least: float, mean: float, greatest: float) -> dict[str, float]:
    """Return the three figures of a key, by their names."""
    figures = (least, mean, greatest)
    return dict(zip(names_of(key), (round(one, DECIMALS) for one in figures), strict=True))


def combine(start: datetime, parts: Sequence[Statistic], *, estimated: bool = False) -> Statistic:
    """Combine hours to a day, or days to a month; `parts` holds one at least, in order.

    Energies add up, means count by the time in which their values were known.
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
    """Return what statistics say together but for energies, each with its weight (s)."""
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
