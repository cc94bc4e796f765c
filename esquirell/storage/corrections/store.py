"""Removing and moving readings, resetting offsets, and undoing these corrections.

Statistics need no separate correction: those around the readings are dropped and recalculated.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from esquirell.domain.clock import Clock
from esquirell.domain.correction import Correction, Span, What
from esquirell.domain.counters import Counter, anew, handed_over, restored
from esquirell.domain.errors import CommandError, EsquirellError
from esquirell.domain.judgement import ESTIMATED, INCREMENTS
from esquirell.domain.periods import Calendar
from esquirell.domain.record import record
from esquirell.storage import meters
from esquirell.storage.corrections import undo_log
from esquirell.storage.corrections.span import NO_SHIFT, StoredSpan
from esquirell.storage.database import Database
from esquirell.storage.meters import to_ledger, to_state
from esquirell.storage.statistics import watermarks
from esquirell.storage.tables import ledger, reading

# Within the range of PostgreSQL, SQLite and Python.
EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class Corrections:
    """Corrects what is stored about a meter, in one transaction each."""

    def __init__(self, database: Database, calendar: Calendar, clock: Clock) -> None:
        self._database = database
        self._calendar = calendar
        self._clock = clock

    def remove(self, span: Span, what: What = "remove", *, dry_run: bool = False) -> Correction:
        """Remove readings; return them.

        Raises UnavailableError, CommandError for an unknown meter.
        """
        with self._alone(span.meter) as (connection, meter_id):
            stored = StoredSpan(connection, meter_id, span, self._calendar)
            found = stored.look(what)
            if found.readings and not dry_run:
                stored.keep(undo_log.add(connection, meter_id, self._clock(), what, NO_SHIFT))
                stored.delete()
        return found

    def restamp(
        self, span: Span, new: Callable[[datetime], datetime], *, dry_run: bool = False
    ) -> Correction:
        """Move readings, so that the first gets the time that `new` returns for it.

        The intervals between them stay. Raises UnavailableError, CommandError for an unknown meter
        (`unknown_meter`), or if it has other readings there (`already_exists`).
        """
        with self._alone(span.meter) as (connection, meter_id):
            stored = StoredSpan(connection, meter_id, span, self._calendar)
            found = stored.look("restamp")
            if found.first is None:
                return found
            shift = new(found.first) - found.first
            if shift and not dry_run:
                number = undo_log.add(connection, meter_id, self._clock(), "restamp", shift)
                stored.keep(number)
                stored.move(number, shift)
        return replace(found, to=found.first + shift)

    def forget_offsets(self, meter: str, *, dry_run: bool = False) -> Correction:
        """Make the sums of a meter continue from its own counters, without an offset.

        Raises UnavailableError, CommandError for an unknown meter.
        """
        with self._alone(meter) as (connection, meter_id):
            found = changed(connection, meter_id)
            if found.sums and not dry_run:
                number = undo_log.add(connection, meter_id, self._clock(), "counter", NO_SHIFT)
                undo_log.write(connection, number, "ledger", [{"state": found.before}])
                found.write(connection)
        return Correction(meter, "counter", sums=found.sums)

    def hand_over(self, meter: str, source: str) -> None:
        """Assign the counters of a meter to another device, by the name of their source.

        After `counters.GONE` no counter continues. Raises UnavailableError.
        """
        with self._database.write() as connection:
            found = meters.known_ids(connection, [meter])
            if meter in found:
                watermarks.lock(connection, found[meter])
                hand_over(connection, found[meter], source)

    def undo(self, meter: str, whats: Sequence[What], *, dry_run: bool = False) -> Correction:
        """Undo the latest correction of a meter of one of these kinds; return what it affected.

        Raises UnavailableError, CommandError for an unknown meter, EsquirellError when there is
        none.
        """
        with self._alone(meter) as (connection, meter_id):
            latest = undo_log.latest(connection, meter_id, whats)
            if latest is None:
                raise EsquirellError(f"there is nothing to undo for {meter}")
            if latest.what == "counter":
                ((row,),) = undo_log.read(connection, latest.number, "ledger")
                found = changed(connection, meter_id, to=row["state"])
                done = Correction(meter, "counter", sums=found.sums)
                if not dry_run:
                    found.write(connection)
            else:
                stored = StoredSpan(connection, meter_id, Span(meter, *EVER), self._calendar)
                done = stored.kept(latest)
                if not dry_run:
                    stored.put_back(latest)
            if not dry_run:
                undo_log.forget(connection, latest.number)
        return done

    def set_future_aside(self, now: datetime) -> dict[str, int]:
        """Remove readings that lie in the future of a correct clock; count them by meter.

        Raises UnavailableError.
        """
        with self._database.read() as connection:
            query = select(reading.c.meter_id).where(reading.c.measured_at >= now).distinct()
            ids = set(connection.execute(query).scalars())
            known = meters.known_ids(connection)
        spans = [Span(name, now, EVER[1]) for name, meter_id in known.items() if meter_id in ids]
        return {span.meter: self.remove(span, "future").readings for span in spans}

    @contextmanager
    def _alone(self, meter: str) -> Iterator[tuple[Connection, int]]:
        """Open a transaction in which no other one stores or uses a meter's readings."""
        with self._database.write() as connection:
            found = meters.known_ids(connection, [meter])
            if meter not in found:
                known = ", ".join(sorted(meters.known_ids(connection))) or "none"
                raise CommandError(
                    "unknown_meter", f"nothing is stored for {meter}; known: {known}"
                )
            watermarks.lock(connection, found[meter])
            yield connection, found[meter]


@record
class Offsets:
    """Counters that get another offset; `before` is the stored ledger."""

    meter_id: int
    before: Any
    counters: Mapping[str, Counter]
    sums: Mapping[str, tuple[float, float]]

    def write(self, connection: Connection) -> None:
        if self.counters:
            new = to_ledger(self.before).corrected(self.counters)
            change = update(ledger).where(ledger.c.meter_id == self.meter_id)
            connection.execute(change.values(state=to_state(new)))


def changed(connection: Connection, meter_id: int, to: object = None) -> Offsets:
    """Return the counters whose offset differs from that in the ledger `to`, by default none.

    `sums` are those before and after (kWh).
    """
    stored = connection.scalar(select(ledger.c.state).where(ledger.c.meter_id == meter_id))
    found: Mapping[str, Counter] = to_ledger(stored).counters if stored else {}
    if to is None:
        new = {key: anew(counter, 0.0) for key, counter in found.items() if counter.offset}
    else:
        new = {
            key: restored(found[key], before)
            for key, before in to_ledger(to).counters.items()
            if key in found and found[key].offset != before.offset
        }
    sums = {key: (found[key].total, counter.total) for key, counter in new.items()}
    return Offsets(meter_id, stored, new, sums)


def hand_over(connection: Connection, meter_id: int, source: str) -> None:
    """Assign a meter's counters to another device, or to none."""
    stored = connection.scalar(select(ledger.c.state).where(ledger.c.meter_id == meter_id))
    if not stored:
        return
    before = to_ledger(stored)
    new = {
        key: handed_over(counter, source)
        for key, counter in before.counters.items()
        if counter.source not in {ESTIMATED, INCREMENTS}
    }
    change = update(ledger).where(ledger.c.meter_id == meter_id)
    connection.execute(change.values(state=to_state(before.corrected(new))))
