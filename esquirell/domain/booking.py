"""Energy from accepted sums: the difference of two of them, distributed evenly in between.

The ledger decides once, before a reading is stored, which counter values are accepted; accepted
sums only rise. A stored sum below an earlier one comes from a reading that a wrong clock put in
a wrong place: it adds no information.
"""

from collections.abc import Sequence
from typing import NamedTuple

# After a longer gap between two readings it is unknown when their energy was used.
USUAL_GAP_S = 900.0
# Shifts over the end of an hour, by a clock or a slow poll, do not make an estimate.
SHIFTED_S = 60.0
# A millionth of a kWh is far below a meter's resolution.
DECIMALS = 6
# A longer gap is distributed over its last year.
LONGEST_GAP_S = 366 * 86_400.0


class Sample(NamedTuple):
    """An accepted sum (kWh) at a moment (unix time in s)."""

    at: float
    kwh: float


class Booking(NamedTuple):
    """Energy (kWh) used evenly from `begin` to `end` (unix time in s)."""

    begin: float
    end: float
    kwh: float

    def share(self, begin: float, end: float) -> float:
        """Return the energy (kWh) between two moments.

        The shares of all hours of a gap add up exactly, rounded as they are stored: each is the
        difference of two rounded sums.
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
    """Return the energy used since `last`, and the sample to continue from.

    `sums` belong to `moments`, at least one; all energy after the first of them is one booking. The
    bookings add up to the rise of the highest sum, never more.
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
