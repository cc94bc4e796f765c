"""Forgetting a meter: removing all its rows."""

from sqlalchemy import delete, select

from esquirell.storage.database import Database
from esquirell.storage.tables import (
    corrected,
    correction,
    ledger,
    meter,
    reading,
    rollup,
    statistic,
)

_OF_A_METER = (correction, statistic, rollup, ledger)


def forget(database: Database, name: str) -> int:
    """Remove a meter with its readings; return their number. Raises UnavailableError."""
    with database.write() as connection:
        found = connection.execute(select(meter.c.id).where(meter.c.name == name)).scalar()
        if found is None:
            return 0
        count = connection.execute(delete(reading).where(reading.c.meter_id == found)).rowcount
        corrections = select(correction.c.id).where(correction.c.meter_id == found)
        connection.execute(delete(corrected).where(corrected.c.correction_id.in_(corrections)))
        for table in _OF_A_METER:
            connection.execute(delete(table).where(table.c.meter_id == found))
        connection.execute(delete(meter).where(meter.c.id == found))
    return count
