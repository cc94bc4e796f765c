"""Finds the scale of a counter by comparing its growth with the energy of the measured power."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from esquirell.domain.numbers import whole
from esquirell.domain.quantity import total_of
from esquirell.domain.record import record

# Over a longer gap the power is unknown.
_LONGEST_GAP_S = 900.0
_WATT_SECONDS = 3_600_000.0
# At least this many counts, as the first and the last may each be partial.
_LEAST_COUNTS = 5
# Relative to a power of ten: neither a load that changes between two answers nor a partial count
# makes up another power.
_NEAR = 0.2
_TENS = range(4)


@record
class Growth:
    """The counts of counters of unknown scale since they were first seen, and the energy since.

    `began` has the count of each by DP id, and the energy (kWh) at that time. It restarts if the
    power is unknown or negative: then counters of the other direction may grow.
    """

    watched: frozenset[str]
    began: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    energy: float = 0.0
    watts: float | None = None
    at: float = 0.0

    @classmethod
    def of(cls, counters: Iterable[str]) -> "Growth | None":
        """Start watching counters by their DP ids; None if there are none."""
        watched = frozenset(counters)
        return cls(watched) if watched else None

    def after(self, answer: Mapping[str, Any], values: Mapping[str, float], at: float) -> "Growth":
        """Return the state after an answer, decoded to `values`, at a time in seconds."""
        watts = total_of(values, "active_power")
        if watts is None or watts < 0:
            return Growth(self.watched)
        gap_s = at - self.at
        known = self.watts is not None and 0 <= gap_s <= _LONGEST_GAP_S
        energy, began = (self.energy, self.began) if known else (0.0, {})
        if known:
            energy += ((self.watts or 0.0) + watts) / 2 * gap_s / _WATT_SECONDS
        first = {dp: (count, energy) for dp, count in self._counts(answer) if dp not in began}
        return Growth(self.watched, {**began, **first}, energy, watts, at)

    def divisors(self, answer: Mapping[str, Any]) -> Mapping[str, float]:
        """Return the proved divisors to kWh of the counters in an answer."""
        found: dict[str, float] = {}
        for dp, count in self._counts(answer):
            first, flowed = self.began.get(dp, (count, self.energy))
            counted, energy = count - first, self.energy - flowed
            if counted >= _LEAST_COUNTS and energy > 0:
                ten = math.log10(counted / energy)
                if round(ten) in _TENS and abs(ten - round(ten)) <= _NEAR:
                    found[dp] = 10.0 ** round(ten)
        return found

    def _counts(self, answer: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
        for dp in self.watched & answer.keys():
            count = whole(answer[dp])
            if count is not None:
                yield dp, count
