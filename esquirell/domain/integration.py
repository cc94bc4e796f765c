"""Energy of meters without a counter: integrated power, and increments that they report."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from esquirell.domain.record import record

# Even one poll a day yields an estimate; over longer gaps the power is unknown.
LONGEST_GAP_S = 108_000.0

_WATT_SECONDS = 3_600_000.0
# Comparing with the power needs this much energy, as most increments are tenths of a kWh.
COMPARED_KWH = 0.5
# Far above the error of integrated power, and below the factor of ten of a wrong scale.
GROSS = 3.0


@record
class Integral:
    """The energies so far, in kWh, and the power, in W, at the last reading."""

    power: float
    at: datetime
    imported: float = 0.0
    exported: float = 0.0

    def resembles(self, other: "Integral") -> bool:
        """Return whether nothing but the time of the last reading differs."""
        return (
            self.power == other.power
            and self.imported == other.imported
            and self.exported == other.exported
        )

    def lost(self, at: datetime) -> float:
        """Return for how many seconds before a reading the power is unknown: 0 for a usual gap."""
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


@record
class Increments:
    """The sum of the increments of one counter, all in kWh.

    `total` adds up all but the first, whose energy was used before the sum began. `since` is the
    integrated power at the last increment. `interrupted`: a report may have been missed since then;
    `lost` estimates the energy of such interruptions. `counted` (by increments) and `expected` (by
    the power) are the energies to be compared next; `warning` says that they disagreed.
    """

    since: float
    total: float = 0.0
    interrupted: bool = False
    lost: float = 0.0
    counted: float = 0.0
    expected: float = 0.0
    warning: str = ""

    def gap(self, integral: float) -> float:
        """Estimate what the sum may be missing by now, from the integrated power."""
        return round(self.lost + (max(0.0, integral - self.since) if self.interrupted else 0.0), 6)


def add(
    before: Increments | None, kwh: float | None, integral: float, *, interrupted: bool
) -> Increments | None:
    """Return the sum after a reading, which may bring an increment; None before the first.

    `integral` is the integrated power so far; `interrupted`: a report may have been missed since
    the last reading.
    """
    if kwh is None:
        return before and replace(before, interrupted=before.interrupted or interrupted)
    if before is None:
        return Increments(since=integral)
    after = replace(before, total=round(before.total + kwh, 6), since=integral, interrupted=False)
    used = max(0.0, integral - before.since)
    if before.interrupted or interrupted:
        return replace(after, lost=before.lost + max(0.0, used - kwh))
    return _compared(replace(after, counted=before.counted + kwh, expected=before.expected + used))


def _compared(sums: Increments) -> Increments:
    """Compare increments and power once there is enough of either, and start again."""
    if max(sums.counted, sums.expected) < COMPARED_KWH:
        return sums
    agrees = sums.expected <= GROSS * sums.counted and sums.counted <= GROSS * sums.expected
    warning = "" if agrees else _DISAGREE.format(counted=sums.counted, expected=sums.expected)
    return replace(sums, counted=0.0, expected=0.0, warning=warning)


_DISAGREE = (
    "the meter reports {counted:.2f} kWh where its power says {expected:.2f} kWh: the scale of its "
    "increments may be wrong"
)


def together(before: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    """Return the sums of two sets of increments, by key."""
    return {key: before.get(key, 0) + more.get(key, 0) for key in before.keys() | more.keys()}
