"""How far each meter's statistics are computed, and how late readings set that back.

Storing readings and computing statistics must not miss each other: on SQLite writers run one
after the other anyway; on PostgreSQL they hold a lock per meter, shared among those that store.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, or_, select, text, update
from sqlalchemy.engine import Connection

from esquirell.domain.statistic import Progress
from esquirell.storage import direct, meters
from esquirell.storage.tables import Instant, meter, rollup

# An arbitrary number, the same in all versions of this program.
_LOCKS = 7_283_652
_LEAST = timedelta(milliseconds=1)

_LOCK = text("SELECT pg_advisory_xact_lock(:class, :meter)")
_LOCK_SHARED = text("SELECT pg_advisory_xact_lock_shared(:class, :meter)")

_BEFORE = bindparam("before", type_=Instant)
_SET_BACK = (
    update(rollup)
    .where(rollup.c.meter_id == bindparam("of"))
    .where(or_(rollup.c.done_to > _BEFORE, rollup.c.pruned_to > _BEFORE))
    .values(
        done_to=case((rollup.c.done_to > _BEFORE, _BEFORE), else_=rollup.c.done_to),
        pruned_to=case((rollup.c.pruned_to > _BEFORE, _BEFORE), else_=rollup.c.pruned_to),
    )
)
_MOMENT = bindparam("moment", type_=Instant)
_REACHED = select(rollup.c.meter_id).where(
    or_(rollup.c.done_to > _MOMENT, rollup.c.pruned_to > _MOMENT)
)


def progress(connection: Connection, names: Sequence[str], zone: str) -> list[Progress]:
    """Return how far each of these meters with readings is computed, for days of this zone."""
    query = (
        select(meters.oldest(), meters.newest(), rollup.c.done_to, rollup.c.zone)
        .outerjoin_from(meter, rollup)
        .where(meter.c.name.in_(direct.filled_up(names)))
    )
    return [
        Progress(first, last, done_to if known == zone else None)
        for first, last, done_to, known in connection.execute(query)
        if first is not None
    ]


def lock(connection: Connection, meter_id: int) -> None:
    """Wait until no other transaction stores a meter's readings or computes with them."""
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK, {"class": _LOCKS, "meter": meter_id})


def share(connection: Connection, meter_ids: Mapping[int, datetime]) -> None:
    """Lock the statistics of these meters until the transaction ends, shared with others."""
    if connection.dialect.name == "postgresql":
        locks = [{"class": _LOCKS, "meter": meter_id} for meter_id in sorted(meter_ids)]
        connection.execute(_LOCK_SHARED, locks)


def set_back(connection: Connection, since: Mapping[int, datetime]) -> None:
    """Mark the readings of meters, by id, for recalculation from a given time on."""
    if not since:
        return
    # Rarely are statistics computed that far already: a single query checks all.
    found = direct.select_by_moment(connection, _REACHED, min(since.values()) - _LEAST)
    if reached := {meter_id for (meter_id,) in found} & since.keys():
        rows = [
            {"of": watermark, "before": since[watermark] - _LEAST} for watermark in sorted(reached)
        ]
        connection.execute(_SET_BACK, rows)
