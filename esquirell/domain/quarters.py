"""Readings into quarters of an hour, for people who look closely; they are not stored.

Energy is the difference of a counter's readings, spread evenly over the time between them, as in
the hours. Means are weighted by time: a value holds until the next one, at most a quarter.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from esquirell.domain.booking import DECIMALS, Booking
from esquirell.domain.reading import Reading
from esquirell.domain.statistic import Statistic, is_energy, names_of

QUARTER_S = 900


@dataclass(slots=True)
class _Span:
    """What is known of one quantity within a quarter: its extremes, and its integral in time."""

    least: float
    most: float
    total: float
    integral: float = 0.0
    seconds: float = 0.0
    count: int = 1

    def figures(self) -> tuple[float, float, float]:
        """Return least, mean and greatest value."""
        mean = self.integral / self.seconds if self.seconds else self.total / self.count
        return self.least, min(max(mean, self.least), self.most), self.most


@dataclass(slots=True)
class _Quarter:
    """One quarter of an hour; `number` counts them since 1970."""

    number: int
    readings: int = 0
    energies: dict[str, float] = field(default_factory=dict)
    spans: dict[str, _Span] = field(default_factory=dict)
    estimated: bool = False

    def measure(self, values: Mapping[str, float]) -> None:
        self.readings += 1
        for key, value in values.items():
            if is_energy(key):
                self.energies.setdefault(key, 0.0)
            elif span := self.spans.get(key):
                span.least, span.most = min(span.least, value), max(span.most, value)
                span.total += value
                span.count += 1
            else:
                self.spans[key] = _Span(value, value, value)

    def book(self, key: str, booking: Booking) -> None:
        begin = self.number * QUARTER_S
        share = booking.share(begin, begin + QUARTER_S)
        self.energies[key] = self.energies.get(key, 0.0) + share
        self.estimated = self.estimated or booking.is_guess(begin, begin + QUARTER_S)

    def statistic(self, meter: str) -> Statistic:
        values = {key: round(energy, DECIMALS) for key, energy in self.energies.items()}
        for key, span in self.spans.items():
            rounded = (round(figure, DECIMALS) for figure in span.figures())
            values |= dict(zip(names_of(key), rounded, strict=True))
        start = datetime.fromtimestamp(self.number * QUARTER_S, UTC)
        return Statistic(meter, start, values, self.readings, estimated=self.estimated)


def quarters(meter: str, readings: Iterable[Reading]) -> Iterator[Statistic]:
    """Work up the readings of one meter, in the order of time."""
    found: dict[int, _Quarter] = {}
    last: dict[str, tuple[float, float]] = {}
    for reading in readings:
        at = reading.measured_at.timestamp()
        _at(found, at).measure(reading.values)
        for key, value in reading.values.items():
            if key in last:
                _join(found, key, last[key], (at, value))
            last[key] = at, value
        # A counter that is silent for a while may still add to the quarters since it spoke last.
        counters = [moment for key, (moment, _) in last.items() if is_energy(key)]
        settled = int(min(counters, default=at) // QUARTER_S)
        for number in sorted(number for number in found if number < settled):
            yield found.pop(number).statistic(meter)
    for number in sorted(found):
        yield found[number].statistic(meter)


def _at(found: dict[int, _Quarter], at: float) -> _Quarter:
    number = int(at // QUARTER_S)
    return found.setdefault(number, _Quarter(number))


def _join(
    found: dict[int, _Quarter], key: str, before: tuple[float, float], after: tuple[float, float]
) -> None:
    """Add what one quantity did between two readings to the quarters between them."""
    (begin, first), (end, value) = before, after
    if is_energy(key):
        # Falling, it began anew: what was used meanwhile is not known.
        if value > first:
            booking = Booking(begin, end, value - first)
            for quarter, _ in _parts(found, begin, end):
                quarter.book(key, booking)
        return
    for quarter, seconds in _parts(found, begin, min(end, begin + QUARTER_S)):
        if span := quarter.spans.get(key):
            span.integral += first * seconds
            span.seconds += seconds


def _parts(
    found: dict[int, _Quarter], begin: float, end: float
) -> Iterator[tuple[_Quarter, float]]:
    """Yield the quarters from one moment to another, each with the seconds that lie in it."""
    while begin < end:
        quarter = _at(found, begin)
        border = min(end, (quarter.number + 1) * QUARTER_S)
        yield quarter, border - begin
        begin = border
