"""Energy of meters that count none: power integrated over time."""

from dataclasses import dataclass
from datetime import datetime

# With a poll a day there is an estimate still; over longer gaps the power is unknown.
LONGEST_GAP_S = 108_000.0

_WATT_SECONDS = 3_600_000.0


@dataclass(frozen=True, slots=True)
class Integral:
    """The energies so far, in kWh, and the power, in W, from which they go on."""

    power: float
    at: datetime
    imported: float = 0.0
    exported: float = 0.0

    @property
    def known(self) -> tuple[object, ...]:
        """All but the time of the last reading."""
        return self.power, self.imported, self.exported

    def lost(self, at: datetime) -> float:
        """Return how many seconds before a reading nothing is known of: 0 for a usual gap."""
        gap_s = (at - self.at).total_seconds()
        return gap_s if gap_s > LONGEST_GAP_S else 0.0


def integrate(before: Integral | None, power: float, at: datetime) -> Integral:
    """Add the energy since the last reading by the trapezoidal rule, import and export apart.

    Nothing is added over a gap that is too long, or when the clock was set back.
    """
    if before is None:
        return Integral(power=power, at=at)
    gap_s = (at - before.at).total_seconds()
    known = 0 < gap_s <= LONGEST_GAP_S
    imported, exported = _areas(before.power, power, gap_s) if known else (0.0, 0.0)
    return Integral(
        power=power,
        at=at,
        imported=before.imported + imported,
        exported=before.exported + exported,
    )


def _areas(first: float, last: float, seconds: float) -> tuple[float, float]:
    """Return the areas above and below zero of a straight line between two powers, in kWh."""
    scale = seconds / _WATT_SECONDS
    if first * last >= 0:
        area = abs(first + last) / 2 * scale
        return (area, 0.0) if first + last >= 0 else (0.0, area)
    high, low = max(first, last), -min(first, last)
    return high * high / (high + low) / 2 * scale, low * low / (high + low) / 2 * scale
