"""The readings of a span: removed, moved or restored, and the statistics computed from them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from esquirell.domain.correction import Correction, Span, What
from esquirell.domain.errors import CommandError
from esquirell.domain.periods import Calendar
from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.statistic import is_energy
from esquirell.storage.corrections import undo_log
from esquirell.storage.corrections.undo_log import StoredCorrection
from esquirell.storage.paging import paged
from esquirell.storage.statistics import watermarks
from esquirell.storage.tables import reading, statistic

NO_SHIFT = timedelta(0)


class StoredSpan:
    """The readings of one meter in a span, within one transaction."""

    def __init__(
        self, connection: Connection, meter_id: int, span: Span, calendar: Calendar
    ) -> None:
        self._connection = connection
        self._id = meter_id
        self._span = span
        self._calendar = calendar

    def look(self, what: What) -> Correction:
        """Return what a correction of these readings would affect."""
        return _correction(self._span.meter, what, self._rows())

    def kept(self, correction: StoredCorrection) -> Correction:
        """Return what a correction affected."""
        pages = undo_log.read(self._connection, correction.number, "reading")
        return _correction(self._span.meter, correction.what, chain.from_iterable(pages))

    def keep(self, number: int) -> None:
        """Keep the readings, and their hours, under the number of a correction."""
        first, last = self._ends()
        hours = select(statistic).where(
            statistic.c.meter_id == self._id,
            statistic.c.resolution == "hour",
            statistic.c.readings > 0,
            statistic.c.start >= self._hour(first)[0],
            statistic.c.start < self._hour(last)[1],
        )
        undo_log.write(self._connection, number, "reading", self._rows())
        found = self._connection.execute(hours).mappings().all()
        undo_log.write(self._connection, number, "hour", map(dict, found))

    def delete(self) -> None:
        """Remove the readings."""
        first, last = self._ends()
        self._connection.execute(delete(reading).where(*self._mine()))
        self._drop_statistics(first, last)

    def move(self, number: int, shift: timedelta) -> None:
        """Store the kept readings at other times. Raises CommandError if readings exist there."""
        first, last = self._ends()
        self._connection.execute(delete(reading).where(*self._mine()))
        self._refuse_others(first + shift, last + shift, number, shift)
        for page in undo_log.read(self._connection, number, "reading"):
            moved = [row | {"measured_at": row["measured_at"] + shift} for row in page]
            undo_log.insert_into(self._connection, reading, moved)
        self._drop_statistics(min(first, first + shift), max(last, last + shift))

    def put_back(self, correction: StoredCorrection) -> None:
        """Restore readings to where they were; they were moved or removed."""
        number, shift = correction.number, correction.shift
        if shift:
            for page in undo_log.read(self._connection, number, "reading"):
                moved = [row["measured_at"] + shift for row in page]
                at = (reading.c.meter_id == self._id, reading.c.measured_at.in_(moved))
                self._connection.execute(delete(reading).where(*at))
        moments: list[datetime] = []
        for page in undo_log.read(self._connection, number, "reading"):
            moments = [*moments[:1], page[0]["measured_at"], page[-1]["measured_at"]]
            there = self._there(*moments[-2:])
            new = (row for row in page if row["measured_at"] not in there)
            undo_log.insert_into(self._connection, reading, new)
        if moments:
            first, last = moments[0], moments[-1]
            self._drop_statistics(min(first, first + shift), max(last, last + shift))
        for page in undo_log.read(self._connection, number, "hour"):
            undo_log.insert_into(self._connection, statistic, page)

    def _rows(self) -> Iterator[dict[str, Any]]:
        query, moment = select(reading).where(*self._mine()), reading.c.measured_at
        for page in paged(self._connection, query, moment, self._span.since, undo_log.PAGE):
            yield from (dict(zip(reading.c.keys(), row, strict=True)) for row in page)

    def _mine(self) -> tuple[Any, ...]:
        return (
            reading.c.meter_id == self._id,
            reading.c.measured_at >= self._span.since,
            reading.c.measured_at < self._span.until,
        )

    def _ends(self) -> tuple[datetime, datetime]:
        ends = select(func.min(reading.c.measured_at), func.max(reading.c.measured_at))
        first, last = self._connection.execute(ends.where(*self._mine())).one()
        return first, last

    def _there(self, first: datetime, last: datetime) -> set[datetime]:
        query = select(reading.c.measured_at).where(
            reading.c.meter_id == self._id,
            reading.c.measured_at >= first,
            reading.c.measured_at <= last,
        )
        return set(self._connection.execute(query).scalars())

    def _refuse_others(
        self, first: datetime, last: datetime, number: int, shift: timedelta
    ) -> None:
        there = self._there(first, last)
        for page in undo_log.read(self._connection, number, "reading") if there else ():
            for row in page:
                if (moment := row["measured_at"] + shift) in there:
                    raise CommandError(
                        "already_exists",
                        f"{self._span.meter} has a reading at {moment:%Y-%m-%d %H:%M:%S} UTC: "
                        "choose another time",
                    )

    def _drop_statistics(self, first: datetime, last: datetime) -> None:
        """Drop the statistics computed from these times and the adjacent gaps.

        The readings around them are recalculated.
        """
        of = reading.c.meter_id == self._id
        earlier = select(func.max(reading.c.measured_at)).where(of, reading.c.measured_at < first)
        later = select(func.min(reading.c.measured_at)).where(of, reading.c.measured_at > last)
        before, after = (
            self._connection.execute(statement).scalar() for statement in (earlier, later)
        )
        mine = [statistic.c.meter_id == self._id]
        if before is not None:
            begin = min(self._hour(before)[1], self._hour(first)[0])
            mine.append(statistic.c.start >= begin)
        if after is not None:
            end = max(self._hour(after)[0], self._hour(last)[1])
            mine.append(statistic.c.start < end)
        self._connection.execute(delete(statistic).where(*mine))
        oldest = select(func.min(reading.c.measured_at)).where(of)
        since = before or self._connection.execute(oldest).scalar()
        if since is not None:
            watermarks.set_back(self._connection, {self._id: since})

    def _hour(self, moment: datetime) -> tuple[datetime, datetime]:
        begin = self._calendar.floor(moment, "hour")
        return begin, self._calendar.after(begin, "hour")


def _correction(meter: str, what: What, rows: Iterable[Mapping[str, Any]]) -> Correction:
    count = 0
    moments: tuple[datetime, ...] = ()
    sums: dict[str, tuple[float, float]] = {}
    for row in rows:
        count, moments = count + 1, (*moments[:1], row["measured_at"])
        for key, value in {**row, **(row.get("extra") or {})}.items():
            if value is not None and is_quantity_key(key) and is_energy(key):
                sums[key] = (sums.get(key, (value, value))[0], value)
    first, last = (moments[0], moments[-1]) if moments else (None, None)
    return Correction(meter, what, count, first, last, sums=sums)
