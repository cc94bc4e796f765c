"""Cumulative counters: a sum that goes on when the device's own counter does not."""

import math
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from esquirell.domain.record import record

# More than any connection of a home can deliver: three phases of 145 A.
MOST_KW = 100.0
# Devices that count in steps, or report every half hour, catch up with more than one poll's worth.
STEP_KWH = 1.0
# Three phases of 63 A, and some.
CATCH_UP_KW = 50.0
CATCH_UP_S = 3600.0

# An exchanged device that starts this close to the old one is taken for the old one.
PAIRED_ANEW_WITHIN = 0.01

# The source of a counter whose device was taken away: whatever comes next starts again.
GONE = ""

# Readings of one moment may come in either order; earlier ones tell of another clock, and of a
# gap of unknown length.
SWAPPED_S = 60.0
UNKNOWN_S = 86_400.0

CONFIRMATIONS = 3
CONFIRMATION_S = 30.0

# A counter that restarts at zero has counted at most what fits into this time.
RESTART_S = 900.0
# Decimal displays, and binary registers in steps of 1, 0.1, 0.01 and 0.001 kWh.
MODULI = (
    *(10.0**digits for digits in range(4, 10)),
    *(2.0**bits / 10**scale for bits in (24, 31, 32) for scale in range(4)),
)


@record
class Sample:
    """A raw counter, in kWh, at one moment."""

    raw: float
    at: datetime


@record
class Level:
    """Where a counter seems to be now: consecutive readings that do not follow the last one."""

    first: Sample
    last: Sample
    count: int = 1

    @property
    def confirmed(self) -> bool:
        """Whether it holds in several readings and for some time."""
        lasted = (self.last.at - self.first.at).total_seconds()
        return self.count >= CONFIRMATIONS and lasted >= CONFIRMATION_S


@record
class Counter:
    """A counter as it was last believed, in kWh: the sum is `raw` + `offset`.

    `source` names whose counter it is (`GONE`: nobody's any more), `moved_at` is when it last
    rose, `level` where it may have gone since. `unproven`: it was read once, and nothing has agreed
    with it yet. `replaces` is the moment of such a reading, of a counter that takes its place.
    `begins`: somebody has given it another offset, so that its sum starts again with the next
    reading.
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
        """The sum over all resets and exchanges, to the milliwatt hour."""
        return round(self.raw + self.offset, 6)

    @property
    def known(self) -> tuple[object, ...]:
        """All but the moment of the last reading."""
        return _KNOWN(self)


_KNOWN = attrgetter("raw", "moved_at", "source", "offset", "level", "unproven", "begins")


def follow(
    counter: Counter | None, raw: float, at: datetime, source: str
) -> tuple[Counter | None, bool]:
    """Take the next raw value, in kWh; return the counter, and whether the value is believed.

    What is not believed is either a glitch, over with the next reading that follows the last
    believed one, or a new level: confirmed by several readings, it continues the sum. A first
    value that no other agreed with was no counter: then a confirmed level takes its place, and
    there is no offset.
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
    """Return a counter that goes on from the same sum by another way of counting."""
    sample, offset = Sample(raw, at), counter.total - raw
    return replace(_continued(sample, offset, source), begins=counter.begins)


def anew(counter: Counter, offset: float) -> Counter:
    """Return a counter with another offset, in kWh: what it sums up starts again."""
    return replace(counter, offset=offset, level=None, begins=True)


def handed_over(counter: Counter, source: str) -> Counter:
    """Return a counter that is another source's from now on; after `GONE` nothing goes on."""
    return replace(counter, source=source, level=None)


def _has_caught_up(counter: Counter, rise: float, at: datetime) -> bool:
    """Whether a rise of more than a step is what may have been used since the last one."""
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
    """Return the kWh counted until the first reading of a new level: known after a start at zero.

    A counter that ran over has in addition counted up to its end. For any other level the
    starting point is unknown, so the energy used in between is not counted.
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
    """Return the most kWh that can have been used between two moments."""
    return MOST_KW * _seconds(since, until) / 3600


def _seconds(since: datetime, until: datetime) -> float:
    """Return the seconds between two moments; after a clock was set back they are unknown."""
    seconds = (until - since).total_seconds()
    return UNKNOWN_S if seconds < -SWAPPED_S else max(0.0, seconds)
