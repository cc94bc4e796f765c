"""Rows from before a correction, kept as JSON in tables of their own, page by page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.engine import Connection

from esquirell.domain.correction import What
from esquirell.domain.record import record
from esquirell.storage.paging import paged
from esquirell.storage.tables import corrected, correction

PAGE = 1000
_MOMENTS = ("measured_at", "start")

Rows = list[dict[str, Any]]


@record
class StoredCorrection:
    """A correction: its number, its kind, and the shift of its readings in time."""

    number: int
    what: What
    shift: timedelta


def add(connection: Connection, meter_id: int, at: datetime, what: What, shift: timedelta) -> int:
    """Record a correction of a meter; return its number."""
    row = {
        "meter_id": meter_id,
        "at": at,
        "what": what,
        "shift_ms": shift // timedelta(milliseconds=1),
    }
    connection.execute(insert(correction).values(row))
    query = select(func.max(correction.c.id)).where(correction.c.meter_id == meter_id)
    return int(connection.execute(query).scalar_one())


def latest(connection: Connection, meter_id: int, whats: Sequence[What]) -> StoredCorrection | None:
    """Return the latest correction of a meter of one of these kinds."""
    query = (
        select(correction)
        .where(correction.c.meter_id == meter_id, correction.c.what.in_(whats))
        .order_by(correction.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return (
        StoredCorrection(row.id, row.what, timedelta(milliseconds=row.shift_ms or 0))
        if row
        else None
    )


def forget(connection: Connection, number: int) -> None:
    """Drop a correction that was undone."""
    connection.execute(delete(corrected).where(corrected.c.correction_id == number))
    connection.execute(delete(correction).where(correction.c.id == number))


def write(
    connection: Connection, number: int, kind: str, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Keep rows of one kind."""
    highest = select(func.max(corrected.c.number)).where(corrected.c.correction_id == number)
    place = (connection.execute(highest).scalar() or 0) + 1
    for page in pages(rows):
        bodies = [
            {"correction_id": number, "number": place + at, "kind": kind, "body": _to_json(row)}
            for at, row in enumerate(page)
        ]
        connection.execute(insert(corrected), bodies)
        place += len(bodies)


def read(connection: Connection, number: int, kind: str) -> Iterator[Rows]:
    """Yield the rows of one kind in order, page by page."""
    query = select(corrected.c.number, corrected.c.body).where(
        corrected.c.correction_id == number, corrected.c.kind == kind
    )
    for page in paged(connection, query, corrected.c.number, 0, PAGE):
        yield [_from_json(body) for _, body in page]


def insert_into(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert kept rows into their table."""
    # With all columns, as they must be the same throughout a statement.
    nothing = dict.fromkeys(column.key for column in table.c)
    for page in pages(rows):
        connection.execute(insert(table), [nothing | dict(row) for row in page])


def pages(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield rows page by page."""
    left = iter(rows)
    while page := list(islice(left, PAGE)):
        yield page


def _to_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None
    }


def _from_json(body: Mapping[str, Any]) -> dict[str, Any]:
    moments = {name: datetime.fromisoformat(body[name]) for name in _MOMENTS if name in body}
    return {**body, **moments}
