"""Statistics: what a meter measured within an hour, a day or a month."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from esquirell.domain.periods import Resolution
from esquirell.domain.quantity import Quantity, split_key

# Highest mean of a quarter of an hour, in kW: what suppliers bill as demand.
PEAK_DEMAND = "peak_demand"
_DEMAND = Quantity(PEAK_DEMAND, "kW", "power", "measurement", 3, "Peak demand")
EXTREMES = ("min", "mean", "max")
# A millionth of each unit is far below what a meter tells apart.
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Statistic:
    """What a meter measured in the period that begins at `start`.

    `values` holds kWh for each energy key, `_min`, `_mean` and `_max` for each other key, and
    `peak_demand`; `readings` counts the readings within, `hours` the hours that have any.
    """

    meter: str
    start: datetime
    values: Mapping[str, float]
    readings: int = 0
    hours: int = 0


@dataclass(frozen=True, slots=True)
class Periods:
    """Which statistics: of the periods that begin from `since` until just before `until`.

    `names` limits the values.
    """

    resolution: Resolution
    since: datetime
    until: datetime
    names: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Watermark:
    """Up to which reading, included, a meter is worked up, and in which zone.

    Up to `pruned_to` its readings are thinned out.
    """

    done_to: datetime
    zone: str
    pruned_to: datetime | None = None


@cache
def quantity_of(name: str) -> Quantity:
    """Give the quantity of a name in a statistic, or of a quantity key.

    Raises KeyError for a name of no known quantity.
    """
    return _DEMAND if name == PEAK_DEMAND else split_key(name)[0]


@cache
def is_energy(key: str) -> bool:
    """Tell whether a quantity key is a counter of energy."""
    return quantity_of(key).state_class == "total_increasing"


@cache
def names_of(key: str) -> tuple[str, ...]:
    """Give what a quantity key is called in a statistic."""
    return (
        (key,)
        if is_energy(key) or key == PEAK_DEMAND
        else tuple(f"{key}_{part}" for part in EXTREMES)
    )


def extremes(key: str, found: Sequence[float]) -> dict[str, float]:
    """Give least, mean and greatest of the values of a key; each counts the same."""
    figures = (min(found), sum(found) / len(found), max(found))
    return dict(zip(names_of(key), (round(one, DECIMALS) for one in figures), strict=True))


def combine(start: datetime, parts: Sequence[Statistic]) -> Statistic:
    """Combine hours to a day, or days to a month; `parts` holds one at least.

    Energies add up. In a day's mean each hour counts the same, however often it was measured,
    in a month's mean each day counts by its hours.
    """
    names = dict.fromkeys(name for part in parts for name in part.values)
    values = {name: round(_combined(name, parts), DECIMALS) for name in names}
    readings, hours = sum(one.readings for one in parts), sum(one.hours for one in parts)
    return Statistic(parts[0].meter, start, values, readings, hours)


def _combined(name: str, parts: Sequence[Statistic]) -> float:
    present = [part for part in parts if name in part.values]
    values = [part.values[name] for part in present]
    if name == PEAK_DEMAND or name.endswith("_max"):
        return max(values)
    if name.endswith("_min"):
        return min(values)
    if name.endswith("_mean"):
        total = sum(part.values[name] * part.hours for part in present)
        return total / sum(part.hours for part in present)
    return sum(values)
