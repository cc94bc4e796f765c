"""What was seen between two stored readings: least and greatest, for the hour they lie in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from esquirell.domain.quantity import is_counter

Range = tuple[float, float]
# Hours of every zone begin on a quarter.
QUARTER_S = 900


@dataclass(slots=True)
class Ranges:
    """The values of one meter that are not stored, as far as stored ones don't show them.

    Within a quarter of an hour a range has to be stored only where it is wider than what stored
    readings of that quarter have, or had with them: of a minute's values few are.
    """

    _seen: dict[str, Range] = field(default_factory=dict)
    _stored: dict[str, Range] = field(default_factory=dict)
    _quarter: float = 0.0

    def see(self, values: Mapping[str, float]) -> None:
        """Take in values that may not be stored."""
        _widen(self._seen, values)

    def take(self, values: Mapping[str, float], at: float) -> dict[str, Range]:
        """Return what is to be stored with a reading of `at` (unix time); it is not kept then."""
        if at // QUARTER_S != self._quarter:
            self._quarter = at // QUARTER_S
            self._stored = {}
        _widen(self._stored, values)
        wider = {
            key: seen for key, seen in self._seen.items() if not _holds(self._stored.get(key), seen)
        }
        for key, (least, greatest) in wider.items():
            _widen(self._stored, {key: least})
            _widen(self._stored, {key: greatest})
        self._seen = {}
        return wider


def _widen(ranges: dict[str, Range], values: Mapping[str, float]) -> None:
    for key, value in values.items():
        known = ranges.get(key)
        if known is None:
            if not is_counter(key):
                ranges[key] = value, value
        elif value < known[0]:
            ranges[key] = value, known[1]
        elif value > known[1]:
            ranges[key] = known[0], value


def _holds(known: Range | None, seen: Range) -> bool:
    return known is not None and known[0] <= seen[0] and seen[1] <= known[1]
