"""Our hours for the sensors in Home Assistant, in its own terms."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import accumulate

from esquirell.domain.errors import ConfigError
from esquirell.domain.long_term import HOUR, Row, whole_hour
from esquirell.domain.periods import Calendar, Resolution
from esquirell.domain.statistic import Periods, Statistic, is_energy, names_of
from esquirell.services.backfill_plan import (
    Average,
    Counted,
    OurCounter,
    energy_booked,
    energy_place,
)
from esquirell.services.costs import CostQuery, Costs
from esquirell.services.history import PeriodHistory, ReadingHistory

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
# The cost sensors of a meter, and when each restarts.
COST_PERIODS: Mapping[str, Resolution] = {"cost_today": "day", "cost_this_month": "month"}


class OurHours:
    """Builds our side of a plan from our hours, only those before `until`."""

    def __init__(
        self, periods: PeriodHistory, readings: ReadingHistory, costs: Costs, calendar: Calendar
    ) -> None:
        self._periods = periods
        self._readings = readings
        self._costs = costs
        self._calendar = calendar

    def averages(
        self, meter: str, key: str, until: datetime
    ) -> tuple[Mapping[datetime, Average], set[datetime]]:
        """Return the measured hours of a quantity, and the estimated ones."""
        least, mean, greatest = names_of(key)
        found: dict[datetime, Average] = {}
        estimated = set()
        for hour in self._hours(meter, names_of(key), until):
            values = hour.values
            if mean in values:
                found[hour.start] = Average(values[mean], values[least], values[greatest])
            if is_estimated(hour):
                estimated.add(hour.start)
        return found, estimated

    def energy(self, meter: str, key: str, until: datetime) -> OurCounter:
        """Return the hours of an energy counter."""
        amounts: dict[datetime, float] = {}
        estimated = set()
        for hour in self._hours(meter, [key], until):
            if is_estimated(hour):
                estimated.add(hour.start)
            elif key in hour.values:
                amounts[hour.start] = hour.values[key]

        def positions(since: datetime, until: datetime) -> Mapping[datetime, Counted]:
            counted: dict[datetime, Counted] = {}
            for reading in self._readings.query([meter], since, until, [key]):
                if key in reading.values:
                    kwh = reading.values[key]
                    counted[whole_hour(reading.measured_at)] = Counted(kwh, kwh)
            return counted

        return OurCounter(amounts, estimated, positions, energy_place, energy_booked)

    def cost(self, meter: str, key: str, until: datetime) -> OurCounter | None:
        """Return the hours of a cost; None for a meter without a tariff."""
        tariff = self._costs.tariff_of(meter)
        if tariff is None:
            return None
        estimated = {hour.start for hour in self._hours(meter, [], until) if is_estimated(hour)}
        query = CostQuery(BEGINNING, until, "hour", [meter])
        hours = [row.cost for row in self._costs.read(query)]
        starts = [hour.start for hour in hours]
        totals = [0.0, *accumulate(float(hour.total) for hour in hours)]

        def paid_before(moment: datetime) -> float:
            return totals[bisect_left(starts, moment)]

        def counted(start: datetime) -> Counted:
            reset = self._calendar.floor(start, COST_PERIODS[key])
            paid = paid_before(start + HOUR)
            return Counted(paid, paid - paid_before(reset), reset)

        def place(row: Row) -> float:
            return paid_before(row.last_reset or BEGINNING) + (row.state or 0.0)

        return OurCounter(
            {hour.start: float(hour.total) for hour in hours if hour.start not in estimated},
            estimated,
            lambda since, until: {one: counted(one) for one in starts if since <= one < until},
            place,
            cost_booked,
            signed=True,
        )

    def _hours(
        self, meter: str, names: tuple[str, ...] | list[str], until: datetime
    ) -> Iterator[Statistic]:
        wanted = Periods("hour", BEGINNING, until, names)
        for hour in self._periods.query([meter], wanted):
            if hour.start != whole_hour(hour.start):
                raise ConfigError(
                    f"timezone: the hours of {self._calendar.zone} do not start on UTC's full "
                    "hours, the only ones in Home Assistant: they can't be compared"
                )
            yield hour


def cost_booked(earlier: Row, later: Row) -> float:
    """Return what Home Assistant adds to the sum of a cost between two rows.

    If the cost was reset in between, that is what was spent since.
    """
    begun = earlier.last_reset == later.last_reset
    return (later.state or 0.0) - ((earlier.state or 0.0) if begun else 0.0)


def is_estimated(hour: Statistic) -> bool:
    """Return whether energy of a gap was distributed over an hour, or none was measured."""
    return hour.estimated or hour.readings == 0


def is_cost(key: str) -> bool:
    """Return whether a sensor is a cost instead of a quantity."""
    return key in COST_PERIODS


def is_counter(key: str) -> bool:
    """Return whether a sensor is a counter."""
    return is_cost(key) or is_energy(key)
