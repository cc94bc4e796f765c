"""Cumulative counters: a sum that continues when the device's own counter restarts."""

import math
from dataclasses import replace
from datetime import datetime

from esquirell.domain.record import record

# More than the connection of any home delivers: three phases of 145 A.
MOST_KW = 100.0
# Devices that count in steps, or report every half hour, catch up on more than one poll's worth.
STEP_KWH = 1.0
# Slightly more than three phases of 63 A.
CATCH_UP_KW = 50.0
CATCH_UP_S = 3600.0

# A replacement device that starts this close to the old one counts as the old one, paired again.
PAIRED_ANEW_WITHIN = 0.01

# The source of a counter whose device was removed: the next one starts again.
GONE = ""

# Readings of the same moment may come in either order; earlier ones come from another clock, after
# a gap of unknown length.
SWAPPED_S = 60.0
UNKNOWN_S = 86_400.0

CONFIRMATIONS = 3
CONFIRMATION_S = 30.0

# A counter that restarts at zero has counted at most this time's worth.
RESTART_S = 900.0
# Decimal displays, and binary registers with steps of 1, 0.1, 0.01 and 0.001 kWh.
MODULI = (
    *(10.0**digits for digits in range(4, 10)),
    *(2.0**bits / 10**scale for bits in (24, 31, 32) for scale in range(4)),
)


@record
class Sample:
    """A raw counter value, in kWh, at one moment."""

    raw: float
    at: datetime


@record
class Level:
    """A possible new range of a counter: consecutive readings that do not continue it."""

    first: Sample
    last: Sample
    count: int = 1

    @property
    def confirmed(self) -> bool:
        """Whether it was seen in several readings over some time."""
        lasted = (self.last.at - self.first.at).total_seconds()
        return self.count >= CONFIRMATIONS and lasted >= CONFIRMATION_S


@record
class Counter:
    """The last accepted state of a counter, in kWh: the sum is `raw` + `offset`.

    `source` names its device (`GONE`: removed), `moved_at` is when it last rose, `level` where it
    may have jumped since. `unproven`: it was read once, without a confirmation yet. `replaces` is
    the moment of such a reading, if this counter takes its place. `begins`: its offset was changed,
    so that its sum starts again with the next reading.
    """

    raw: float
    at: datetime
    moved_at: datetime
    source: str
    offset: float = 0.0
    level: Level | None = None
    unproven: bool = False
    replaces: datetime | None = None
    begins: bool = False

    @property
    def total(self) -> float:
        """The sum over all resets and exchanges, in kWh to the mWh."""
        return round(self.raw + self.offset, 6)

    def resembles(self, other: "Counter") -> bool:
        """Return whether nothing but the moment of the last reading differs."""
        return (
            self.raw == other.raw
            and self.moved_at == other.moved_at
            and self.source == other.source
            and self.offset == other.offset
            and self.level == other.level
            and self.unproven == other.unproven
            and self.begins == other.begins
        )


def follow(
    counter: Counter | None, raw: float, at: datetime, source: str
) -> tuple[Counter | None, bool]:
    """Follow the next raw value, in kWh; return the counter, and whether the value is accepted.

    A rejected value is either a glitch, which ends when a reading continues the last accepted one,
    or a new level: confirmed by several readings, it continues the sum. A first value that no other
    reading confirmed was wrong: then a confirmed level replaces it, without an offset.
    """
    if not math.isfinite(raw) or raw < 0:
        return counter, False
    if counter is None:
        return Counter(raw=raw, at=at, moved_at=at, source=source, unproven=True), True
    known, rise = counter.source == source, raw - counter.raw
    if (known or _is_near(counter, raw)) and (
        0 <= rise <= STEP_KWH or _has_caught_up(counter, rise, at)
    ):
        moved_at = at if rise else counter.moved_at
        return Counter(raw, at, moved_at, source, counter.offset), True
    if not known:
        return _continued(Sample(raw, at), counter.total - raw, source), True
    level = _level(counter.level, Sample(raw, at))
    if level.confirmed:
        return _confirmed(counter, level), True
    return replace(counter, level=level), False


def _confirmed(counter: Counter, level: Level) -> Counter:
    if counter.unproven:
        return replace(_continued(level.last, 0.0, counter.source), replaces=counter.at)
    offset = counter.total + _missed(counter, level.first) - level.first.raw
    return _continued(level.last, offset, counter.source)


def taken_over(counter: Counter, raw: float, at: datetime, source: str) -> Counter:
    """Return a counter that continues the same sum with another way of counting."""
    sample, offset = Sample(raw, at), counter.total - raw
    return replace(_continued(sample, offset, source), begins=counter.begins)


def anew(counter: Counter, offset: float) -> Counter:
    """Return a counter with another offset, in kWh: its sum starts again."""
    return replace(counter, offset=offset, level=None, begins=True)


def restored(counter: Counter, before: Counter) -> Counter:
    """Return a counter with the offset from before; its sum goes on, unless it was read since."""
    return replace(anew(counter, before.offset), begins=before.begins or not counter.begins)


def handed_over(counter: Counter, source: str) -> Counter:
    """Return a counter with another source; after `GONE` the next one starts again."""
    return replace(counter, source=source, level=None)


def _has_caught_up(counter: Counter, rise: float, at: datetime) -> bool:
    """Whether a rise of more than a step may have been used since the last one."""
    if rise < 0:
        return False
    caught_up_s = min(_seconds(counter.moved_at, at), CATCH_UP_S)
    return rise <= STEP_KWH + max(_most(counter.at, at), CATCH_UP_KW * caught_up_s / 3600)


def _is_near(counter: Counter, raw: float) -> bool:
    """Whether a device with another id may be the same one, paired again."""
    return counter.source != GONE and raw - counter.raw <= PAIRED_ANEW_WITHIN * counter.raw


def _continued(sample: Sample, offset: float, source: str) -> Counter:
    return Counter(sample.raw, sample.at, sample.at, source, offset)


def _level(level: Level | None, sample: Sample) -> Level:
    if level is None or not _goes_on(level.last, sample):
        return Level(first=sample, last=sample)
    return Level(first=level.first, last=sample, count=level.count + 1)


def _goes_on(last: Sample, sample: Sample) -> bool:
    return 0 <= sample.raw - last.raw <= _most(last.at, sample.at) + STEP_KWH


def _missed(counter: Counter, first: Sample) -> float:
    """Return the kWh counted before the first reading of a new level, known if it started at zero.

    An overflow has also counted up to the end of its range. For any other level the starting point
    is unknown, so the energy used in between is not counted.
    """
    if first.raw > counter.raw / 2:
        return 0.0
    most = min(_most(counter.at, first.at), MOST_KW * RESTART_S / 3600)
    rests = (end - counter.raw for end in MODULI if end > counter.raw)
    rest = min(rests, default=math.inf)
    if rest + first.raw <= most:
        return rest + first.raw
    return first.raw if first.raw <= most else 0.0


def _most(since: datetime, until: datetime) -> float:
    """Return the maximum energy (kWh) between two moments."""
    return MOST_KW * _seconds(since, until) / 3600


def _seconds(since: datetime, until: datetime) -> float:
    """Return the seconds between two moments; unknown after a clock was set back."""
    seconds = (until - since).total_seconds()
    return UNKNOWN_S if seconds < -SWAPPED_S else max(0.0, seconds)
