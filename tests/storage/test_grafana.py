"""The dashboard's queries, with Grafana's macros filled in, on a real PostgreSQL."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from support.statistics import Workshop

from esquirell.domain.cost import PriceRow
from esquirell.domain.tariff import Prices as Rates
from esquirell.storage.database import Database
from esquirell.storage.prices import Prices

DOCS = Path(__file__).parents[2] / "docs"
BOARD: dict[str, Any] = json.loads((DOCS / "grafana" / "esquirell-energy.json").read_text())
QUERIES = {panel["title"]: panel["targets"][0]["rawSql"] for panel in BOARD["panels"]}
MACROS = {
    "$__timeGroupAlias(measured_at, $__interval)": "date_trunc('hour', measured_at) AS time",
    "$__timeFilter(measured_at)": "measured_at > now() - interval '7 days'",
    "$__timeFilter(start)": "start > now() - interval '7 days'",
    "$__timeFilter(h.start)": "h.start > now() - interval '7 days'",
    "$meter": "main",
    "$tariff": "home",
    "$import_price": "0.5",
    "$export_price": "0.1",
}


def asked(database: Database, query: str) -> list[dict[str, object]]:
    for macro, meaning in MACROS.items():
        query = query.replace(macro, meaning)
    assert "$" not in query
    with database.read() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


@pytest.fixture
def filled(postgresql: Database) -> Database:
    """Five hours, the last of them now, of 1 kWh in and 2 kWh out each."""
    shop = Workshop(postgresql)
    start = datetime.now(UTC) - timedelta(hours=5)
    for quarter in range(21):
        values = {"energy_import": 10 + quarter / 4, "energy_export": 5 + quarter / 2}
        shop.put((start + quarter * timedelta(minutes=15), values | {"active_power": 1000.0}))
    shop.rollup()
    return postgresql


@pytest.mark.parametrize("title", QUERIES)
def test_every_panel_shows_something(filled: Database, title: str) -> None:
    rows = asked(filled, QUERIES[title])
    assert rows
    assert all(isinstance(row["time"], datetime) for row in rows)
    assert all(value is not None for value in rows[-1].values())


def test_costs_use_imported_prices_or_else_the_configured_ones(filled: Database) -> None:
    def cost() -> float:
        days = asked(filled, QUERIES["Cost by day"])
        return sum(float(str(day["used"])) for day in days)

    assert cost() == pytest.approx(2.5)
    Prices(filled).put("home", [PriceRow(datetime(2020, 1, 1, tzinfo=UTC), Rates())])
    assert cost() == pytest.approx(2.5)
    row = PriceRow(datetime(2021, 1, 1, tzinfo=UTC), Rates(Decimal(2)))
    Prices(filled).put("home", [row])
    assert cost() == pytest.approx(10)


def test_the_meters_can_be_chosen(filled: Database) -> None:
    (chosen,) = [one for one in BOARD["templating"]["list"] if one["name"] == "meter"]
    assert asked(filled, chosen["query"]) == [{"meter": "main"}]


def test_the_login_of_the_page_reads_the_views_and_no_table(filled: Database) -> None:
    page = (DOCS / "how-to" / "grafana.md").read_text()
    (block,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    with filled.engine.connect() as connection:
        # Roles are part of a transaction, too: nothing of it stays.
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        connection.execute(text(block.replace("DATABASE esquirell", f'DATABASE "{name}"')))
        connection.execute(text("SET LOCAL ROLE grafana"))
        for view in ("v_readings", "v_hourly", "v_daily", "v_monthly", "v_prices"):
            connection.execute(text(f"SELECT * FROM {view}"))  # noqa: S608 - a name from above
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text("SELECT * FROM reading"))
