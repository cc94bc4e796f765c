"""Statistics as rows, and their statements, built once, as that takes longer than running them.

`meter` is a meter's id; spans go from `since` until just before `until`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, column, delete, func, insert, select, table, update

from esquirell.domain.hour import Counters
from esquirell.domain.periods import Resolution
from esquirell.domain.statistic import Sample, Statistic
from esquirell.storage.columns import Columns
from esquirell.storage.postgres import BINARY
from esquirell.storage.tables import STATISTIC_COLUMNS, Instant, reading, rollup, statistic

_COUNTS = ("start", "readings", "hours", "seconds", "estimated")
_EMPTY: dict[str, Any] = dict.fromkeys((*STATISTIC_COLUMNS, "extra", "counters"))


def to_row(new: Statistic, resolution: Resolution, meter_id: int, zone: str) -> dict[str, Any]:
    """Return a statistic as a row, with its start also in the time of `zone`."""
    wide = {name: value for name, value in new.values.items() if name in _EMPTY}
    extra = {name: value for name, value in new.values.items() if name not in _EMPTY}
    key = {"meter_id": meter_id, "resolution": resolution, "start": new.start}
    counts = {name: getattr(new, name) for name in ("readings", "hours", "seconds", "estimated")}
    named = {"local_start": local(new.start, zone), "extra": extra or None}
    return _EMPTY | wide | key | counts | named


def local(start: datetime, zone: str) -> str:
    """Return a start in the time of a zone."""
    return start.astimezone(ZoneInfo(zone)).isoformat(" ", "minutes")


class StatisticShape:
    """What a query reads from a row: all values, or those of some names."""

    def __init__(self, names: Collection[str] | None = None) -> None:
        self._wanted = names
        wide = (statistic.c[name] for name in STATISTIC_COLUMNS if self._wants(name))
        counts = (statistic.c[name] for name in _COUNTS)
        self.columns = (*counts, statistic.c.extra, *wide)
        self._names = tuple(column.key for column in self.columns)

    def to_statistic(self, meter: str, row: Sequence[Any]) -> Statistic:
        """Turn a row of `columns` into a statistic; null is absent."""
        values = {
            name: value for name, value in zip(self._names, row, strict=True) if value is not None
        }
        counts = [values.pop(name, None) for name in _COUNTS]
        if extra := values.pop("extra", None):
            values |= {name: value for name, value in extra.items() if self._wants(name)}
        start, readings, hours, seconds, estimated = counts
        return Statistic(meter, start, values, readings, hours, seconds, estimated)

    def _wants(self, name: str) -> bool:
        return self._wanted is None or name in self._wanted


def counters_json(counters: Counters | None) -> dict[str, Any] | None:
    """Return counters as JSON: for each the last sample, to continue from, as `[at, kWh]`."""
    return None if counters is None else {key: list(last) for key, last in counters.items()}


def read_counters(stored: Mapping[str, Any]) -> dict[str, Sample]:
    """Read counters as `counters_json` writes them, also those of its first version.

    The first version stored its own doubts with the sample: `[[at, kWh], suspects]`.
    """
    return {
        key: Sample(*(last[0] if isinstance(last[0], list) else last))
        for key, last in stored.items()
    }


ALL = StatisticShape()
COLUMNS = Columns()

_SINCE, _UNTIL = bindparam("since", type_=Instant), bindparam("until", type_=Instant)
_READ = (reading.c.meter_id == bindparam("meter"), reading.c.measured_at < _UNTIL)
_MINE = (
    statistic.c.meter_id == bindparam("meter"),
    statistic.c.resolution == bindparam("resolution"),
)
_SPAN = (*_MINE, statistic.c.start >= _SINCE, statistic.c.start < _UNTIL)

WATERMARK = select(rollup.c.done_to, rollup.c.zone, rollup.c.pruned_to).where(
    rollup.c.meter_id == bindparam("meter")
)
FIRST_READING = select(reading.c.measured_at).where(*_READ).order_by(reading.c.measured_at).limit(1)
FIRST_READING_AFTER = FIRST_READING.where(reading.c.measured_at > bindparam("after", type_=Instant))
# The first reading after a moment, and the last one before it, found by one seek each.
NEW_READINGS = select(
    FIRST_READING_AFTER.scalar_subquery(),
    select(func.max(reading.c.measured_at))
    .where(reading.c.meter_id == bindparam("meter"))
    .where(reading.c.measured_at <= bindparam("after", type_=Instant))
    .scalar_subquery(),
)
_READINGS = (
    select(*COLUMNS.columns)
    .where(*_READ)
    .order_by(reading.c.measured_at)
    .execution_options(**BINARY)
)
READINGS = _READINGS.where(reading.c.measured_at >= _SINCE)
# An alias of `reading` itself would copy all of its columns.
_EARLIER = table(reading.name, column("meter_id"), column("measured_at", Instant)).alias()
READINGS_AND_ONE_BEFORE = _READINGS.where(
    reading.c.measured_at
    >= func.coalesce(
        select(func.max(_EARLIER.c.measured_at))
        .where(_EARLIER.c.meter_id == bindparam("meter"), _EARLIER.c.measured_at < _SINCE)
        .scalar_subquery(),
        _SINCE,
    )
)
# When a sum restarts, the ends of an hour are not enough to recompute it.
ENDS = select(
    func.min(reading.c.measured_at),
    func.max(reading.c.measured_at),
    func.count(reading.c.begins),
).where(*_READ, reading.c.measured_at >= _SINCE)
THIN_OUT = delete(reading).where(*_READ, reading.c.measured_at > _SINCE)

COUNTERS_BEFORE = (
    select(statistic.c.counters)
    .where(*_MINE, statistic.c.start < _UNTIL, statistic.c.readings > 0)
    .order_by(statistic.c.start.desc())
    .limit(1)
)
KEPT = select(statistic.c.start, statistic.c.readings).where(*_SPAN)
STATISTICS = (
    select(*ALL.columns).where(*_SPAN).order_by(statistic.c.start).execution_options(**BINARY)
)
REMOVE_ONE = delete(statistic).where(*_MINE, statistic.c.start == _SINCE)
REMOVE_DAYS = delete(statistic).where(
    statistic.c.meter_id == bindparam("meter"), statistic.c.resolution != "hour"
)
STARTS = select(statistic.c.start).where(*_MINE)
NAME_ANEW = (
    update(statistic)
    .where(statistic.c.meter_id == bindparam("meter"), statistic.c.resolution == "hour")
    .where(statistic.c.start == bindparam("of", type_=Instant))
    .values(local_start=bindparam("named"))
)
# All columns except the key: those not rewritten become null.
WRITTEN = tuple(column.key for column in statistic.c if not column.primary_key)
INSERT_WATERMARK = insert(rollup)
SET_WATERMARK = (
    update(rollup)
    .where(rollup.c.meter_id == bindparam("meter"))
    .values(done_to=bindparam("to"), zone=bindparam("of"))
)
SET_PRUNED_TO = (
    update(rollup).where(rollup.c.meter_id == bindparam("meter")).values(pruned_to=bindparam("to"))
)
