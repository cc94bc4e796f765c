"""Energy from believed sums: the difference of two of them, used evenly in between.

What is believed of a counter is decided once, by the ledger, before a reading is stored; its
sums only rise. A stored sum below an earlier one is a reading that a wrong clock put in a wrong
place: it says nothing that the others do not.
"""

from collections.abc import Sequence
from typing import NamedTuple

# With more time than this between two readings it is unknown when their energy was used.
USUAL_GAP_S = 900.0
# What a clock, or a poll that took its time, shifts over the border of an hour is no estimate.
SHIFTED_S = 60.0
# A millionth of a kWh is far below what a meter tells apart.
DECIMALS = 6
# A longer gap is spread over its last year.
LONGEST_GAP_S = 366 * 86_400.0


class Sample(NamedTuple):
    """A believed sum (kWh) at a moment (seconds of unix time)."""

    at: float
    kwh: float


class Booking(NamedTuple):
    """Energy (kWh) used evenly from `begin` to `end` (seconds of unix time)."""

    begin: float
    end: float
    kwh: float

    def share(self, begin: float, end: float) -> float:
        """Return the energy (kWh) that falls between two moments.

        The shares of all hours of a gap add up to its energy, rounded as they are stored: each
        is the difference of two rounded sums.
        """
        return self._until(end) - self._until(begin) if end > begin else 0.0

    def _until(self, moment: float) -> float:
        part = (min(max(moment, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(self.kwh * part, DECIMALS)

    def is_guess(self, begin: float, end: float) -> bool:
        """Whether it is unknown how much of it was used between two moments."""
        length = self.end - self.begin
        if not self.kwh or length <= USUAL_GAP_S:
            return False
        overlap = min(self.end, end) - max(self.begin, begin)
        return overlap >= end - begin or min(overlap, length - overlap) > SHIFTED_S


def book(
    last: Sample, moments: Sequence[float], sums: Sequence[float]
) -> tuple[list[Booking], Sample]:
    """Return what was used since `last`, and the sample to go on from.

    `sums` are in the order of their `moments`, one at least; all energy after the first of them
    is one booking. What is booked adds up to the rise of the highest sum, never more.
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
