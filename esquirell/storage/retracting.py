"""Values taken out of stored readings: of counters whose first value turned out to be none."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from esquirell.domain.reading import Reading
from esquirell.storage.tables import QUANTITY_COLUMNS, reading


def retract(connection: Connection, readings: Iterable[Reading], ids: Mapping[str, int]) -> None:
    """Take out what readings retract of earlier ones, which may be among them."""
    for taken in readings:
        for key, at in taken.retracted.items():
            _take_out(connection, ids[taken.meter], key, at)


def _take_out(connection: Connection, meter_id: int, key: str, at: datetime) -> None:
    is_it = (reading.c.meter_id == meter_id, reading.c.measured_at == at)
    if key in QUANTITY_COLUMNS:
        connection.execute(update(reading).where(*is_it).values({key: None}))
        return
    extra = connection.scalar(select(reading.c.extra).where(*is_it))
    if extra and key in extra:
        rest = {name: value for name, value in extra.items() if name != key}
        connection.execute(update(reading).where(*is_it).values(extra=rest or None))
