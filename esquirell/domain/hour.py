"""One hour of a meter: its energy, and minimum, mean over time and maximum of other quantities."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from operator import mul, sub
from typing import cast

from esquirell.domain.record import record
from esquirell.domain.statistic import (
    DECIMALS,
    PEAK_DEMAND,
    USUAL_GAP_S,
    Booking,
    Sample,
    Statistic,
    by_time,
    extremes,
    is_energy,
)

DEMAND_ENERGY = "energy_import"
DEMAND_POWER = "active_power"
QUARTER_S = 900
_QUARTERS_PER_HOUR = 4
_W_PER_KW = 1000

Counters = Mapping[str, Sample]
Column = Sequence[float | None]
Range = tuple[float, float]


@record
class HeldValues:
    """The values of a reading (at `at`), which hold until the next one, or until `until`."""

    at: float
    until: float
    values: Mapping[str, float]


@record
class Batch:
    """Readings of one meter by columns: their times in order, and the values of each key.

    `holds` is how long (s) each reading holds without a following one. By index of a reading:
    `begins` has the keys whose sums restart with it, `ranges` the minimum and maximum of unstored
    reports since the reading before.
    """

    moments: Sequence[float]
    values: Mapping[str, Column]
    holds: Column = ()
    begins: Mapping[int, Collection[str]] = field(default_factory=dict)
    ranges: Mapping[int, Mapping[str, Range]] = field(default_factory=dict)

    def part(self, begin: int, end: int) -> "Batch":
        """Return the readings between two indices, with the keys that have values."""
        parts = {key: column[begin:end] for key, column in self.values.items()}
        return Batch(
            self.moments[begin:end],
            {key: part for key, part in parts.items() if part.count(None) < len(part)},
            self.holds[begin:end],
            {at - begin: keys for at, keys in self.begins.items() if begin <= at < end},
            {at - begin: ranges for at, ranges in self.ranges.items() if begin <= at < end},
        )

    def held(self, place: int = -1) -> HeldValues:
        """Return the values that a reading, by default the last, holds for the time after it."""
        at = self.moments[place]
        hold_s = self.holds[place] if self.holds else None
        values = {key: column[place] for key, column in self.values.items()}
        known = {key: value for key, value in values.items() if value is not None}
        return HeldValues(at, at + (USUAL_GAP_S if hold_s is None else hold_s), known)

    def durations(self, end: float) -> list[float]:
        """Return how long (s) each reading holds, until `end` at most."""
        gaps = list(map(sub, [*self.moments[1:], end], self.moments))
        if self.holds:
            holds = [USUAL_GAP_S if hold_s is None else hold_s for hold_s in self.holds]
            return list(map(min, gaps, holds))
        return [min(gap, USUAL_GAP_S) for gap in gaps] if max(gaps) > USUAL_GAP_S else gaps


@dataclass(slots=True)
class Hour:
    """One hour from `begin` to `end` (unix time in s).

    `found` is the number of its readings; `counters` are those at its end, None for an hour without
    readings.
    """

    begin: float
    end: float
    found: int = 0
    values: dict[str, float] = field(default_factory=dict)
    counters: Counters | None = None
    estimated: bool = False
    _seconds: float = 0.0
    _quarters: dict[int, float] = field(default_factory=dict)
    _power: list[float] = field(default_factory=list)
    _kept: Statistic | None = None
    _absorbed: list[tuple[Statistic, float]] = field(default_factory=list)

    def measure(self, batch: Batch, held: HeldValues | None, now: float) -> None:
        """Add the readings of the hour, and the values held from the reading before.

        Energies are booked separately. An hour that is not over counts until `now`.
        """
        self.found = len(batch.moments)
        durations = batch.durations(min(self.end, now))
        carried = _carried(held, self.begin, batch.moments[0])
        self._seconds = sum(durations) + (carried[1] if carried else 0.0)
        ranges = _by_key(batch.ranges.values())
        for key, column in batch.values.items():
            if not is_energy(key):
                self.values |= _figures(key, column, durations, carried, ranges.get(key, ()))
        if DEMAND_ENERGY not in batch.values and DEMAND_POWER in batch.values:
            self._power = _quarter_means(self, batch, durations, carried)

    def book(self, key: str, booking: Booking) -> None:
        """Add the part of a booking that falls into this hour."""
        self.values[key] = self.values.get(key, 0.0) + booking.share(self.begin, self.end)
        self.estimated = self.estimated or booking.is_guess(self.begin, self.end)
        if key == DEMAND_ENERGY:
            first = self._quarter(max(self.begin, booking.begin))
            for number in range(first, self._quarter(min(self.end - 1, booking.end)) + 1):
                begin = self.begin + number * QUARTER_S
                share = booking.share(begin, begin + QUARTER_S)
                self._quarters[number] = self._quarters.get(number, 0.0) + share

    def restore(self, kept: Statistic) -> None:
        """Keep the figures from before readings were thinned out; energies follow the sums."""
        self._kept = kept

    def absorb(self, other: Statistic, share: float) -> None:
        """Add a fraction of an hour of another time zone, whose readings are gone."""
        self._absorbed.append((other, share))

    def quarters(self, moments: Sequence[float]) -> list[tuple[int, int]]:
        """Return the start and end index of each quarter among moments within the hour."""
        count = ceil((self.end - self.begin) / QUARTER_S)
        ends = [
            bisect_left(moments, self.begin + number * QUARTER_S) for number in range(1, count + 1)
        ]
        return list(zip([0, *ends], ends, strict=False))

    def statistic(self, meter: str) -> Statistic:
        """Return the statistic of the hour."""
        values = {key: round(value, DECIMALS) for key, value in self.values.items()}
        peak = self._peak_kw()
        if peak is not None:
            values[PEAK_DEMAND] = round(peak, DECIMALS)
        start = datetime.fromtimestamp(self.begin, UTC)
        worked_up = Statistic(
            meter,
            start,
            values,
            self.found,
            int(self.found > 0),
            round(self._seconds, 3),
            self.estimated,
        )
        if self._kept:
            return _restored(worked_up, self._kept)
        return _merged(worked_up, self._absorbed) if self._absorbed else worked_up

    def _peak_kw(self) -> float | None:
        """Return the highest mean of a quarter in kW: by the counter, else by the power."""
        if self._quarters:
            return max(self._quarters.values()) * _QUARTERS_PER_HOUR
        return max(0.0, *self._power) / _W_PER_KW if self._power else None

    def _quarter(self, at: float) -> int:
        return int((at - self.begin) // QUARTER_S)


_Carried = tuple[Mapping[str, float], float]


def _carried(held: HeldValues | None, begin: float, first: float) -> _Carried | None:
    """Return the values held from `begin` on, and for how long (s)."""
    lasting = min(held.until, first) - begin if held else 0.0
    return (held.values, lasting) if held and lasting > 0 else None


def _figures(
    key: str,
    column: Column,
    durations: Sequence[float],
    carried: _Carried | None,
    ranges: Sequence[Range],
) -> dict[str, float]:
    values: Sequence[float]
    if None in column:
        found = [
            (one, time) for one, time in zip(column, durations, strict=True) if one is not None
        ]
        values, durations = [one for one, _ in found], [time for _, time in found]
    else:
        values = cast("Sequence[float]", column)
    total, seconds = sum(map(mul, values, durations)), sum(durations)
    least, greatest = min(values), max(values)
    if carried and key in carried[0]:
        value, lasting = carried[0][key], carried[1]
        total, seconds = total + value * lasting, seconds + lasting
        least, greatest = min(least, value), max(greatest, value)
    for low, high in ranges:
        least, greatest = min(least, low), max(greatest, high)
    mean = total / seconds if seconds > 0 else sum(values) / len(values)
    return extremes(key, least, mean, greatest)


def _by_key(ranges: Collection[Mapping[str, Range]]) -> dict[str, list[Range]]:
    found: dict[str, list[Range]] = {}
    for seen in ranges:
        for key, one in seen.items():
            found.setdefault(key, []).append(one)
    return found


def _quarter_means(
    hour: Hour, batch: Batch, durations: Sequence[float], carried: _Carried | None
) -> list[float]:
    """Return the mean power (W) of each quarter in which it is known."""
    spans = [
        (at, at + lasting, watts)
        for at, lasting, watts in zip(
            batch.moments, durations, batch.values[DEMAND_POWER], strict=True
        )
        if watts is not None
    ]
    if carried and DEMAND_POWER in carried[0]:
        spans.append((hour.begin, hour.begin + carried[1], carried[0][DEMAND_POWER]))
    sums: dict[float, list[float]] = {}
    for begin, end, watts in spans:
        quarter = hour.begin + (begin - hour.begin) // QUARTER_S * QUARTER_S
        while quarter < end:
            lasting = min(end, quarter + QUARTER_S) - max(begin, quarter)
            known = sums.setdefault(quarter, [0.0, 0.0])
            known[0] += watts * lasting
            known[1] += lasting
            quarter += QUARTER_S
    return [total / seconds for total, seconds in sums.values() if seconds > 0]


def _restored(worked_up: Statistic, kept: Statistic) -> Statistic:
    if not worked_up.readings:
        return kept
    values = {name: value for name, value in kept.values.items() if not is_energy(name)}
    values |= {name: value for name, value in worked_up.values.items() if is_energy(name)}
    estimated = kept.estimated or worked_up.estimated
    return Statistic(
        kept.meter, kept.start, values, kept.readings, kept.hours, kept.seconds, estimated
    )


def _merged(worked_up: Statistic, absorbed: Sequence[tuple[Statistic, float]]) -> Statistic:
    """Combine the figures of an hour from overlapping hours, weighted by their shares."""
    rest = max(0.0, 1 - sum(share for _, share in absorbed))
    parts = [*absorbed, (worked_up, rest)] if rest else list(absorbed)
    values = by_time([(part, share * part.weight) for part, share in parts])
    values |= {name: value for name, value in worked_up.values.items() if is_energy(name)}
    readings = round(sum(part.readings * share for part, share in absorbed))
    return Statistic(
        worked_up.meter,
        worked_up.start,
        values,
        readings + worked_up.readings if rest else max(readings, worked_up.readings),
        1,
        round(sum(part.weight * share for part, share in parts), 3),
        worked_up.estimated,
    )
