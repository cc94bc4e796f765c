"""A snapshot of all meters: their values, what they have used today, and their state."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.quantity import total_of
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.domain.record import record
from esquirell.domain.submeters import Upstream, behind, upstream_of
from esquirell.runtime.root import Runtime
from esquirell.services.schedules import pace_of
from esquirell.web.curves import total_curve
from esquirell.web.live import AHEAD, CURVE, LOOK_AGAIN, Live
from esquirell.web.problems import Problems
from esquirell.web.today import DaySoFar, Today

# How long a page waits for the day's energy; later results come with the live view.
PATIENCE_S = 0.05
FRESH = timedelta(minutes=5)
_POWERS = ("active_power", "active_power_a", "active_power_b", "active_power_c")
State = Literal["online", "offline", "waiting", "off"]


@record
class MeterSnapshot:
    """One meter at one moment."""

    meter: Meter
    status: MeterStatus
    state: State
    reading: Reading | None = None
    today: Today = field(default_factory=Today)
    curve: Sequence[float | None] = ()
    warnings: tuple[str, ...] = ()

    @property
    def power(self) -> float | None:
        """The power in W, if the last reading is recent enough."""
        if self.reading is None or self.state in {"offline", "off"}:
            return None
        return total_of(self.reading.values, "active_power")

    @property
    def used(self) -> float | None:
        """Today's energy in kWh: used, or generated if it measures that."""
        return self.today.generated if self.produces else self.today.imported

    @property
    def produces(self) -> bool:
        """Whether it measures generated energy, as an inverter does."""
        return "energy_generated" in self.status.keys

    @property
    def read_at(self) -> datetime | None:
        """The time of the last reading."""
        return self.reading.measured_at if self.reading else self.status.last_success


@record
class House:
    """All meters; `trouble` says what is missing because the database is unreachable.

    `problems` are the reasons why the service does not work. `curve` is the power of the house
    over the last hour, of the meters that answer now. `upstream` may lead over other meters.
    """

    meters: tuple[MeterSnapshot, ...]
    trouble: str = ""
    problems: Sequence[str] = ()
    curve: Sequence[float | None] = ()
    upstream: Upstream = field(default_factory=dict)

    @property
    def counted(self) -> tuple[MeterSnapshot, ...]:
        """The meters that make up the house: submeters are contained in the one above."""
        return tuple(one for one in self._apart(self.meters) if not one.produces)

    def _apart(self, meters: Sequence[MeterSnapshot]) -> list[MeterSnapshot]:
        """Return those whose energy no other one of these meters measures as well."""
        contained = behind([one.meter.name for one in meters], self.upstream)
        return [one for one in meters if one.meter.name not in contained]

    @property
    def power(self) -> float | None:
        """The power of the house in W, of the meters that answer."""
        return _sum(snapshot.power for snapshot in self.counted)

    def with_curve(self) -> "House":
        """Return the house with the curve of its power."""
        curves = (snapshot.curve for snapshot in self.counted if snapshot.power is not None)
        return replace(self, curve=total_curve(curves))

    @property
    def missing(self) -> int:
        """The number of enabled meters of the house without a current power."""
        return sum(snapshot.power is None and snapshot.meter.enabled for snapshot in self.counted)

    @property
    def today(self) -> Today:
        """The energies and the cost of the house today; the cost only in one currency."""
        days = [snapshot.today for snapshot in self.counted]
        billed = [snapshot for snapshot in self.meters if snapshot.today.cost is not None]
        currencies = {snapshot.today.currency for snapshot in billed}
        bearing = {snapshot.meter.name for snapshot in self._apart(billed)}
        costs = (one.today.cost if one.meter.name in bearing else one.today.fee for one in billed)
        producing = [snapshot for snapshot in self.meters if snapshot.produces]
        return Today(
            _sum(day.imported for day in days),
            _sum(day.exported for day in days),
            _sum(snapshot.today.generated for snapshot in self._apart(producing)),
            _sum(costs) if len(currencies) == 1 else None,
            next(iter(currencies), ""),
        )

    def by_area(self) -> list[tuple[str, list[MeterSnapshot]]]:
        """Return the meters by area, in the order of the configuration; those without one last."""
        areas: dict[str, list[MeterSnapshot]] = {}
        for snapshot in self.meters:
            areas.setdefault(snapshot.meter.area, []).append(snapshot)
        unnamed = areas.pop("", [])
        return [*areas.items(), *([("", unnamed)] if unnamed else [])]


class Overview:
    """Takes snapshots of all meters."""

    def __init__(self, runtime: Runtime, live: Live, work: Executor, problems: Executor) -> None:
        self._runtime = runtime
        self._live = live
        self.day = DaySoFar(runtime, work, lambda: live.note(LOOK_AGAIN))
        self._problems = Problems(self._find_problems, problems, lambda: live.note(LOOK_AGAIN))

    def look(self, patience_s: float = PATIENCE_S) -> House:
        """Return all meters; wait at most this many seconds for the day's energy."""
        meters, problems = self._runtime.meters(), self._problems.known()
        try:
            house = House(self._snapshots(meters, patience_s), problems=problems)
        except (UnavailableError, ConfigError) as error:
            readings = self._live.readings()
            blind = tuple(self._blind(meter, readings) for meter in meters)
            house = House(blind, str(error), problems)
        return replace(house, upstream=upstream_of(meters)).with_curve()

    def renewed(self, house: House, names: Collection[str]) -> House:
        """Return the house with the newest readings of these meters, without waiting."""
        readings = self._live.readings()
        days = self.day.known([snapshot.meter.name for snapshot in house.meters], readings)
        renewed = replace(
            house,
            meters=tuple(
                replace(
                    snapshot,
                    state="online",
                    reading=readings[snapshot.meter.name],
                    today=days[snapshot.meter.name],
                    curve=self._live.curve(snapshot.meter.name),
                )
                if snapshot.meter.name in names
                else snapshot
                for snapshot in house.meters
            ),
        )
        return renewed.with_curve()

    def _find_problems(self) -> list[str]:
        """Return the reasons why meters are not read; the page does not need the MQTT broker."""
        mqtt = self._runtime.mqtt
        left_out = mqtt.connection.problems if mqtt.bridges else ()
        report = self._runtime.health.report()
        return [problem for problem in report["problems"] if problem not in left_out]

    def _snapshots(self, meters: Sequence[Meter], patience_s: float) -> tuple[MeterSnapshot, ...]:
        runtime, names = self._runtime, [one.name for one in meters]
        self._catch_up()
        statuses = runtime.storage.readings.statuses()
        active = runtime.schedules.active().values()
        ledgers = runtime.storage.readings.ledgers(names)
        today = self.day.look(names, self._live.readings(), patience_s)
        readings = self._live.readings()
        found = []
        for meter in meters:
            name = meter.name
            status, reading = statuses.get(name, MeterStatus()), readings.get(name)
            known = ledgers[name].warnings if name in ledgers else ()
            snapshot = MeterSnapshot(
                meter,
                status,
                state_of(meter, status, reading, pace_of(active, name)),
                reading,
                today[name],
                self._live.curve(name),
                reading.warnings if reading and reading.warnings else known,
            )
            found.append(snapshot)
        return tuple(found)

    def _blind(self, meter: Meter, readings: Mapping[str, Reading]) -> MeterSnapshot:
        """Return a meter without the database, from this process's own readings."""
        reading = readings.get(meter.name)
        fresh = reading is not None and datetime.now(UTC) - reading.measured_at < FRESH
        state: State = "online" if fresh else "offline" if meter.enabled else "off"
        curve = self._live.curve(meter.name)
        return MeterSnapshot(meter, MeterStatus(), state, reading, curve=curve)

    def _catch_up(self) -> None:
        """Copy stored readings into the live view. Raises UnavailableError."""
        readings = self._runtime.storage.readings
        if not self._live.seeded:
            now = datetime.now(UTC)
            self._live.seed(readings.query(None, now - CURVE, now, _POWERS))
        for reading in readings.latest().values():
            self._live.take_stored(reading)


def state_of(
    meter: Meter, status: MeterStatus, reading: Reading | None, pace_s: int | None
) -> State:
    """Return whether a meter answers, by the rules of its availability over MQTT.

    A reading counts before it is stored, as the database may be unreachable.
    """
    if not meter.enabled:
        return "off"
    now = datetime.now(UTC)
    if status.last_success is None and not status.failures:
        return "online" if reading else "waiting"
    if reading and status.last_success and status.last_success < reading.measured_at < now + AHEAD:
        status = replace(status, last_success=reading.measured_at)
    if pace_s is not None and status.overdue(now, pace_s):
        return "offline"
    return status.state


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
