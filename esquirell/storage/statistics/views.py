"""Views for people who query the database themselves: meter names, readable times.

They are dropped before each upgrade of the tables, which they would block, and recreated after it,
so that they always fit.
"""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.engine import Connection

from esquirell.storage.tables import QUANTITY_COLUMNS, STATISTIC_COLUMNS

_PERIODS = {"v_hourly": "hour", "v_daily": "day", "v_monthly": "month"}
NAMES = ("v_readings", *_PERIODS, "v_prices")

# On SQLite times are unix time in milliseconds.
_UTC_TEXT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {column} / 1000.0, 'unixepoch')",
    "postgresql": "{column}",
}


def drop(connection: Connection) -> None:
    """Drop all existing views."""
    for name in NAMES:
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))


def make(connection: Connection) -> None:
    """Create all views."""
    utc = _UTC_TEXT[connection.dialect.name]
    connection.execute(text(_readings(utc.format(column="r.measured_at"))))
    for name, resolution in _PERIODS.items():
        connection.execute(text(_periods(name, resolution, utc.format(column="s.start"))))
    connection.execute(text(_prices(utc.format(column="p.start"))))


def _prices(start: str) -> str:
    return (
        f"CREATE VIEW v_prices AS SELECT p.tariff AS tariff, {start} AS start, "  # noqa: S608 - names of ours
        "p.bought AS price, p.sold AS export FROM price p"
    )


def _readings(measured_at: str) -> str:
    return (
        f"CREATE VIEW v_readings AS SELECT m.name AS meter, {measured_at} AS measured_at, "  # noqa: S608 - names of ours
        f"{_columns('r', (*QUANTITY_COLUMNS, 'extra'))} "
        "FROM reading r JOIN meter m ON m.id = r.meter_id"
    )


def _periods(name: str, resolution: str, start: str) -> str:
    columns = ("local_start", "readings", "estimated", *STATISTIC_COLUMNS, "extra")
    return (
        f"CREATE VIEW {name} AS SELECT m.name AS meter, {start} AS start, "  # noqa: S608 - names of ours
        f"{_columns('s', columns)} FROM statistic s JOIN meter m ON m.id = s.meter_id "
        f"WHERE s.resolution = '{resolution}'"
    )


def _columns(table: str, names: Iterable[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)
