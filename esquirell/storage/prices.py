"""The imported prices of tariffs."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import delete, func, select

from esquirell.domain.cost import PriceRow
from esquirell.domain.tariff import Prices as Rates
from esquirell.storage.database import Database
from esquirell.storage.paging import rows_of
from esquirell.storage.tables import insert_new, price


class Prices:
    """Keeps lists of prices by the names of their tariffs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, tariff: str, rows: Sequence[PriceRow], end: datetime | None = None) -> None:
        """Store rows, in time order, replacing those from the first to the last.

        They apply until `end`, unless another row begins there. Raises UnavailableError.
        """
        ending = [PriceRow(end, Rates())] if end else []
        of_span = price.c.start.between(rows[0].start, rows[-1].start)
        with self._database.write() as connection:
            connection.execute(delete(price).where(price.c.tariff == tariff, of_span))
            new = [_to_row(tariff, row) for row in (*rows, *ending)]
            connection.execute(insert_new(connection.dialect.name, price), new)

    def rows(self, tariff: str, since: datetime, until: datetime) -> list[PriceRow]:
        """Return the rows that apply from `since` until just before `until`.

        Raises UnavailableError.
        """
        of_tariff = price.c.tariff == tariff
        before = select(func.max(price.c.start)).where(of_tariff, price.c.start <= since)
        query = (
            select(price.c.start, price.c.bought, price.c.sold)
            .where(of_tariff, price.c.start < until)
            .order_by(price.c.start)
        )
        with self._database.read() as connection:
            first = connection.scalar(before) or since
            found = connection.execute(query.where(price.c.start >= first)).all()
        return [PriceRow(start, Rates(_money(buy), _money(sell))) for start, buy, sell in found]

    def counts(self) -> dict[str, int]:
        """Count the rows of each tariff, by name. Raises UnavailableError."""
        query = select(price.c.tariff, func.count().label("rows")).group_by(price.c.tariff)
        return {row.tariff: row.rows for row in rows_of(self._database, query)}


def _to_row(tariff: str, row: PriceRow) -> dict[str, object]:
    bought, sold = row.prices.bought, row.prices.sold
    return {
        "tariff": tariff,
        "start": row.start,
        "bought": None if bought is None else float(bought),
        "sold": None if sold is None else float(sold),
    }


def _money(stored: float | None) -> Decimal | None:
    """Return the stored decimals: a double keeps fifteen digits."""
    return None if stored is None else Decimal(repr(stored))
