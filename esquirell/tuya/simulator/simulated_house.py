"""A simulated house with solar panels, measured at its mains by an OWON PC321-W-TY."""

import math
import random
from collections.abc import Iterable
from itertools import accumulate

from esquirell.domain.record import record

DAY_S = 600.0
"""Default length of a simulated day, in seconds."""

STEPS = 600
"""Steps of a day; all powers are constant within one."""

PHASES = range(3)
IMPORT, EXPORT = 1, -1
MWH_PER_WATT = 24_000 // STEPS  # mWh per watt in one step
MWH_PER_COUNT = 10_000  # the counters count hundredths of a kWh

FIRST_HOUR = 6.0
SUNRISE, SUNSET = 6.5, 20.5
SUN_W = 6000
BASE_W = (60, 140)
FRIDGE_W, FRIDGE_STEPS, FRIDGE_RUNS = 90, 20, 8
KETTLE_W, KETTLE_STEPS = 2000, 6
KETTLE_HOURS = (6.4, 7.6, 10.5, 13.0, 15.5, 17.5, 19.0, 21.5)
EVENING, EVENING_W = (17.0, 22.5), 450


@record
class _Phase:
    """One phase in one step: W, negative when it feeds in, and tenths of a volt."""

    power: int
    voltage: int

    @property
    def factor(self) -> int:
        """Power factor in hundredths: the smaller the load, the more of it is electronics."""
        return min(99, 60 + abs(self.power) // 20)

    @property
    def current(self) -> int:
        """Current in mA that fits power, voltage and power factor."""
        return round(abs(self.power) / (self.voltage / 10 * self.factor / 100) * 1000)


class SimulatedHouse:
    """A house whose day is a fixed function of time, generated from `seed`.

    The clock starts at six in the morning and a day takes `day_s` seconds: within its first
    tenth the kettle boils and the sun begins to feed in, on one of the phases.
    """

    def __init__(self, seed: int = 1, day_s: float = DAY_S) -> None:
        dice = random.Random(seed)  # noqa: S311  reproducible, not a secret
        self._day_s = day_s
        self._sunny = dice.choice(PHASES)
        self._begun = {
            way: [dice.randrange(10**4, 10**6) for _ in PHASES] for way in (IMPORT, EXPORT)
        }
        self._steps = [self._draw(step, dice) for step in range(STEPS)]
        self._sums = {way: [self._sum(phase, way) for phase in PHASES] for way in (IMPORT, EXPORT)}

    def dps(self, elapsed_s: float) -> dict[str, int]:
        """Return the raw DPs `elapsed_s` seconds after the start, keyed by DP id.

        Ids and scales are those of the product; as on the real one, reactive power is 0.
        """
        position = elapsed_s / self._day_s * STEPS
        step = self._steps[int(position % STEPS)]
        bought = [self._counter(phase, IMPORT, position) for phase in PHASES]
        sold = [self._counter(phase, EXPORT, position) for phase in PHASES]
        dps: dict[str, int] = {}
        for phase in PHASES:
            dps |= _phase_dps(101 + 10 * phase, step[phase], bought[phase], sold[phase])
        return dps | _total_dps(step, sum(bought), sum(sold), _hour(position % STEPS))

    def _draw(self, step: int, dice: random.Random) -> tuple[_Phase, ...]:
        return tuple(self._draw_phase(phase, step, dice) for phase in PHASES)

    def _draw_phase(self, phase: int, step: int, dice: random.Random) -> _Phase:
        hour = _hour(step)
        power = dice.randint(*BASE_W)
        if phase == self._sunny:
            power -= round(_sun(hour) * dice.uniform(0.9, 1.0))
        elif phase == (self._sunny + 1) % len(PHASES):
            power += _kettle(hour) + _evening(hour)
        elif step % FRIDGE_STEPS < FRIDGE_RUNS:
            power += FRIDGE_W
        return _Phase(power, 2310 + dice.randint(-20, 20) - power // 50)

    def _sum(self, phase: int, way: int) -> list[int]:
        """Add up the energy of one phase and one direction over a day, in mWh per step."""
        powers = (max(step[phase].power * way, 0) for step in self._steps)
        return list(accumulate((power * MWH_PER_WATT for power in powers), initial=0))

    def _counter(self, phase: int, way: int, position: float) -> int:
        sums = self._sums[way][phase]
        days, rest = divmod(position, STEPS)
        step = int(rest)
        within = int((rest - step) * (sums[step + 1] - sums[step]))
        total = int(days) * sums[-1] + sums[step] + within
        return self._begun[way][phase] + total // MWH_PER_COUNT


def _phase_dps(first: int, phase: _Phase, bought: int, sold: int) -> dict[str, int]:
    """Return V, I, P, PF, Q, import and export of one phase, numbered from `first` on."""
    values = (phase.voltage, phase.current, phase.power, phase.factor, 0, bought, sold)
    return {str(first + index): value for index, value in enumerate(values)}


def _total_dps(phases: Iterable[_Phase], bought: int, sold: int, hour: float) -> dict[str, int]:
    phases = tuple(phases)
    return {
        "131": bought,
        "132": sum(phase.current for phase in phases),
        "133": sum(phase.power for phase in phases),
        "134": 0,
        "135": 50,
        "136": 250 + round(60 * math.sin((hour - 9) / 12 * math.pi)),
        "137": 0,
        "138": 1,
        "139": sold,
    }


def _hour(step: float) -> float:
    return (FIRST_HOUR + step * 24 / STEPS) % 24


def _sun(hour: float) -> float:
    height = math.sin((hour - SUNRISE) / (SUNSET - SUNRISE) * math.pi)
    return SUN_W * height if SUNRISE < hour < SUNSET else 0.0


def _kettle(hour: float) -> int:
    boils = any(0 <= hour - at < KETTLE_STEPS * 24 / STEPS for at in KETTLE_HOURS)
    return KETTLE_W if boils else 0


def _evening(hour: float) -> int:
    begin, end = EVENING
    return EVENING_W if begin <= hour < end else 0
