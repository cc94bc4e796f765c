"""The statements of statistics, built once, as building them takes longer than running them.

`meter` is a meter's id; spans go from `since` until just before `until`.
"""

from sqlalchemy import bindparam, column, delete, func, insert, select, table, update

from esquirell.storage.columns import Columns
from esquirell.storage.postgres import BINARY
from esquirell.storage.statistics.rows import StatisticShape
from esquirell.storage.tables import Instant, reading, rollup, statistic

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
