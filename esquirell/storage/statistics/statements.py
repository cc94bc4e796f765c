"""The statements of a step, built once: with so many columns that takes longer than to run them.

`meter` is a meter's id; spans go from `since` until just before `until`.
"""

from sqlalchemy import bindparam, delete, func, insert, select, update

from esquirell.storage.instant import Instant
from esquirell.storage.postgres import BINARY
from esquirell.storage.statistics.rows import StatisticShape
from esquirell.storage.tables import QUANTITY_COLUMNS, reading, rollup, statistic

ALL = StatisticShape()

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
READINGS = (
    select(reading.c.measured_at, reading.c.extra, *(reading.c[key] for key in QUANTITY_COLUMNS))
    .where(*_READ, reading.c.measured_at >= _SINCE)
    .order_by(reading.c.measured_at)
    .execution_options(**BINARY)
)
ENDS = select(func.min(reading.c.measured_at), func.max(reading.c.measured_at)).where(
    *_READ, reading.c.measured_at >= _SINCE
)
THIN_OUT = delete(reading).where(*_READ, reading.c.measured_at > _SINCE)

COUNTERS_BEFORE = (
    select(statistic.c.start, statistic.c.counters)
    .where(*_MINE, statistic.c.start < _UNTIL, statistic.c.readings > 0)
    .order_by(statistic.c.start.desc())
    .limit(2)
)
KEPT = select(statistic.c.start, statistic.c.readings, statistic.c.counters).where(*_SPAN)
STATISTICS = (
    select(*ALL.columns).where(*_SPAN).order_by(statistic.c.start).execution_options(**BINARY)
)
REMOVE_ONE = delete(statistic).where(*_MINE, statistic.c.start == _SINCE)
REMOVE_DAYS = delete(statistic).where(
    statistic.c.meter_id == bindparam("meter"), statistic.c.resolution != "hour"
)
# All that a row holds beside its key: what is not written anew becomes null.
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
