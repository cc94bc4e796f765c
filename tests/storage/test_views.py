import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from support.statistics import Workshop

from esquirell.storage.database import Database
from esquirell.storage.statistics.views import NAMES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sql.md"
MIDNIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)


def fill(database: Database) -> None:
    shop = Workshop(database)
    for number in range(49):
        values = {"energy_import": 10.0 + number, "active_power": 900.0, "voltage_b": 206.0}
        shop.put((MIDNIGHT + number * timedelta(hours=1), values))
    shop.rollup()


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_views_can_be_asked_without_knowing_the_tables(database: Database) -> None:
    fill(database)
    assert rows(
        database,
        "SELECT meter, local_start, energy_import, active_power_mean, peak_demand FROM v_daily "
        "ORDER BY start LIMIT 2",
    ) == [
        ("main", "2026-11-22 00:00+01:00", 24.0, 900.0, 1.0),
        ("main", "2026-11-23 00:00+01:00", 24.0, 900.0, 1.0),
    ]
    assert rows(database, "SELECT sum(energy_import) FROM v_hourly") == [(48.0,)]
    assert rows(database, "SELECT readings, local_start FROM v_monthly") == [
        (49, "2026-11-01 00:00+01:00")
    ]
    ((first, power),) = rows(
        database, "SELECT measured_at, active_power FROM v_readings ORDER BY measured_at LIMIT 1"
    )
    assert str(first).startswith("2026-11-21 23:00:00")
    assert power == 900.0


def test_the_examples_of_the_reference_work(database: Database) -> None:
    fill(database)
    told = REFERENCE.read_text()
    (block,) = re.findall(r"```sql\n(.*?)```", told, re.DOTALL)
    queries = [query for query in block.split(";") if query.strip()]
    assert len(queries) == 3
    assert all(rows(database, query) for query in queries)
    assert all(f"`{name}`" in told for name in NAMES)
