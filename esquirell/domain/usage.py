"""Energy from counters: differences that survive gaps, dips and resets.

Between two accepted samples energy is taken as used evenly, so that a gap is spread over its
hours and nothing is lost. A sample that is lower than the last one, or higher than any
installation could have reached, is a suspect: when the counter goes on from its old value, the
suspects were a dip and count for nothing; when `CONFIRMED_BY` samples in a row fit each other,
the counter was reset or exchanged and goes on from the first of them. What a counter shows
after a reset was used since; nothing is booked when that can't be (an exchanged meter brings
its own count).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import sub
from typing import NamedTuple

# More than any supply that these meters are made for, in kW, and the coarsest step of a
# counter, in kWh.
LIMIT_KW = 250.0
STEP_KWH = 1.0
CONFIRMED_BY = 3
# A longer gap is spread over its last year.
LONGEST_GAP_S = 366 * 86_400.0


class Sample(NamedTuple):
    """What a counter showed (kWh) at a moment (seconds of unix time)."""

    at: float
    kwh: float


class Booking(NamedTuple):
    """Energy (kWh) used evenly from `begin` to `end` (seconds of unix time)."""

    begin: float
    end: float
    kwh: float

    def share(self, begin: float, end: float) -> float:
        """Give the part of it that falls between two moments."""
        overlap = min(self.end, end) - max(self.begin, begin)
        return self.kwh * overlap / (self.end - self.begin) if overlap > 0 else 0.0


@dataclass(slots=True)
class Counter:
    """A counter: its last accepted sample, and the suspects since then."""

    last: Sample
    suspects: list[Sample] = field(default_factory=list)

    def copy(self) -> "Counter":
        """Give a counter that stays as this one is now."""
        return Counter(self.last, list(self.suspects))

    def follow(self, moments: Sequence[float], values: Sequence[float]) -> list[Booking]:
        """Take samples in the order of time and give what was used between them.

        A steady rise is one booking from its first sample to its last.
        """
        places: Iterable[int] = range(len(values))
        if self._is_steady(moments, values):
            places = dict.fromkeys((0, len(values) - 1))
        taken = (self._take(Sample(moments[place], values[place])) for place in places)
        return [booking for booking in taken if booking]

    def _is_steady(self, moments: Sequence[float], values: Sequence[float]) -> bool:
        if self.suspects or not values:
            return False
        first, last = Sample(moments[0], values[0]), Sample(moments[-1], values[-1])
        if not (_follows(self.last, first) and _follows(first, last)):
            return False
        steps = list(map(sub, values[1:], values))
        return not steps or 0 <= min(steps) <= max(steps) <= STEP_KWH

    def _take(self, sample: Sample) -> Booking | None:
        if _follows(self.last, sample):
            return self._accept(sample, sample.kwh - self.last.kwh)
        if self.suspects and not _follows(self.suspects[-1], sample):
            self.suspects.clear()
        self.suspects.append(sample)
        if len(self.suspects) < CONFIRMED_BY:
            return None
        return self._accept(sample, self._since_reset())

    def _since_reset(self) -> float:
        """Give what the suspects show was used: from zero, if the counter began there."""
        first, last = self.suspects[0], self.suspects[-1]
        began_at_zero = first.kwh < self.last.kwh and _follows(Sample(self.last.at, 0.0), first)
        return last.kwh - (0.0 if began_at_zero else first.kwh)

    def _accept(self, sample: Sample, used: float) -> Booking | None:
        begin = max(self.last.at, sample.at - LONGEST_GAP_S)
        self.last = sample
        self.suspects.clear()
        return Booking(begin, sample.at, used)


def _follows(before: Sample, after: Sample) -> bool:
    hours = (after.at - before.at) / 3600
    return 0 <= after.kwh - before.kwh <= LIMIT_KW * hours + STEP_KWH
