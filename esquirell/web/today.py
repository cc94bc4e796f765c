"""Today's energy of each meter, updated with each reading.

The statistics give the day up to the last stored reading; what the same counters have counted
since then is added, so that energy and cost move together with the power. Statistics are
computed outside the page's threads: a page waits only a moment for them.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from esquirell.domain.cost import HourPrice
from esquirell.domain.errors import EsquirellError
from esquirell.domain.periods import Calendar
from esquirell.domain.quantity import is_counter, total_of
from esquirell.domain.reading import Reading
from esquirell.domain.record import record
from esquirell.domain.statistic import Periods
from esquirell.runtime.root import Runtime
from esquirell.services.costs import CostQuery, CostRow

log = logging.getLogger(__name__)

WORKED_UP_EVERY = timedelta(minutes=1)
# The order of the energies in `Today`.
ENERGIES = ("energy_import", "energy_export", "energy_generated")


@record
class Today:
    """The energies of the day so far, in kWh, and their cost; None where unknown.

    `fee` is the part of the cost that does not depend on energy.
    """

    imported: float | None = None
    exported: float | None = None
    generated: float | None = None
    cost: float | None = None
    currency: str = ""
    fee: float = 0.0


@record
class Base:
    """The day's energy when the counters stood at `sums` (kWh, by key), and the price of a kWh."""

    today: Today
    sums: Mapping[str, float] = field(default_factory=dict)
    price: HourPrice | None = None

    def at(self, reading: Reading | None) -> Today:
        """Return the day up to a reading."""
        imported, exported, generated = (self._since(reading, key) for key in ENERGIES)
        return replace(
            self.today,
            imported=_sum(self.today.imported, imported),
            exported=_sum(self.today.exported, exported),
            generated=_sum(self.today.generated, generated),
            cost=_sum(self.today.cost, self._cost(imported, exported)),
        )

    def _since(self, reading: Reading | None, name: str) -> float:
        """Return the kWh counted since, by the counters that are known now and were known then.

        While one phase is withheld the sum of the others is no counter of the device.
        """
        values = reading.values if reading else {}
        grown = {
            key: max(0.0, value - self.sums[key])
            for key, value in values.items()
            if key in self.sums
        }
        return total_of(grown, name) or 0.0

    def _cost(self, imported: float, exported: float) -> float:
        if self.price is None:
            return 0.0
        bought = self.price.bought * Decimal(str(imported))
        return float(bought - self.price.sold * Decimal(str(exported)))


class DaySoFar:
    """Keeps today's energies; `changed` is called when the statistics have news.

    They are computed at most once a minute, and only while a page is open.
    """

    def __init__(self, runtime: Runtime, work: Executor, changed: Callable[[], None]) -> None:
        self._runtime = runtime
        self._work = work
        self._changed = changed
        self._calendar = Calendar(runtime.settings.timezone)
        self._lock = threading.Lock()
        self._running: Future[None] | None = None
        self._bases: Mapping[str, Base] = {}
        self._worked_up_at = datetime.min.replace(tzinfo=UTC)
        self._ends_at = self._worked_up_at

    @property
    def is_over(self) -> bool:
        return datetime.now(UTC) >= self._ends_at

    def look(
        self, names: Sequence[str], readings: Mapping[str, Reading], patience_s: float
    ) -> dict[str, Today]:
        """Return the day of each meter, after waiting at most some seconds for news."""
        if running := self._begin(names):
            wait([running], patience_s)
        return self.known(names, readings)

    def known(self, names: Sequence[str], readings: Mapping[str, Reading]) -> dict[str, Today]:
        """Return what is known about the day of each meter, without waiting."""
        bases = {} if self.is_over else self._bases
        nothing = Base(Today())
        return {name: bases.get(name, nothing).at(readings.get(name)) for name in names}

    def _begin(self, names: Sequence[str]) -> Future[None] | None:
        """Start the computation if it is due; return it, also if it was running already."""
        with self._lock:
            age = datetime.now(UTC) - self._worked_up_at
            known = self._bases.keys() >= set(names) and not self.is_over
            if known and timedelta() <= age < WORKED_UP_EVERY:
                return None
            if self._running is None or self._running.done():
                self._running = self._work.submit(self._refresh, names)
            return self._running

    def _refresh(self, names: Sequence[str]) -> None:
        try:
            self._work_up(names)
        except EsquirellError as error:
            # The next caller gets the error of the database, and tries again.
            log.debug("the energy of today is unknown: %s", error)
            return
        self._changed()

    def _work_up(self, names: Sequence[str]) -> None:
        """Update from the statistics. Raises UnavailableError."""
        now = datetime.now(UTC)
        midnight = self._calendar.floor(now, "day")
        storage = self._runtime.storage
        storage.statistics.rollup(meters=names)
        # Read afterwards: readings stored meanwhile are in neither, and follow a minute later.
        sums = {name: _sums(reading) for name, reading in storage.readings.latest().items()}
        wanted = Periods("day", midnight, now, None)
        days = {day.meter: day.values for day in storage.periods.query(names, wanted)}
        costs = self._costs(names, (midnight, now))
        prices = {tariff.name: storage.costs.price(tariff, now) for tariff in storage.costs.tariffs}
        self._bases = {
            name: Base(
                _today(days.get(name, {}), costs.get(name)),
                sums.get(name, {}),
                prices[tariff.name] if (tariff := storage.costs.tariff_of(name)) else None,
            )
            for name in names
        }
        self._ends_at = self._calendar.after(midnight, "day")
        self._worked_up_at = now

    def _costs(self, names: Sequence[str], span: tuple[datetime, datetime]) -> dict[str, CostRow]:
        """Return the cost of the day for each meter with a tariff."""
        costs = self._runtime.storage.costs
        billed = [name for name in names if costs.tariff_of(name)]
        if not billed:
            return {}
        return {row.meter: row for row in costs.read(CostQuery(*span, "day", billed))}


def _today(values: Mapping[str, float], row: CostRow | None) -> Today:
    imported, exported, generated = (total_of(values, key) for key in ENERGIES)
    today = Today(imported, exported, generated)
    if row is None:
        return today
    cost = row.cost
    return replace(today, cost=float(cost.total), currency=row.tariff.currency, fee=float(cost.fee))


def _sums(reading: Reading) -> dict[str, float]:
    return {key: value for key, value in reading.values.items() if is_counter(key)}


def _sum(known: float | None, more: float) -> float | None:
    return None if known is None else known + more
