"""Offsets of a meter's counters: added to them for a sum that continues over resets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from esquirell.domain.counters import Counter, anew, handed_over
from esquirell.domain.judgement import ESTIMATED, INCREMENTS
from esquirell.storage.meters import to_ledger, to_state
from esquirell.storage.tables import ledger


@dataclass(frozen=True, slots=True)
class Offsets:
    """Counters that get another offset: `before` is the stored ledger."""

    meter_id: int
    before: Any
    counters: Mapping[str, Counter]
    sums: Mapping[str, tuple[float, float]]

    def write(self, connection: Connection) -> None:
        """Store them."""
        if self.counters:
            new = to_ledger(self.before).corrected(self.counters)
            change = update(ledger).where(ledger.c.meter_id == self.meter_id)
            connection.execute(change.values(state=to_state(new)))


def changed(connection: Connection, meter_id: int, to: object = None) -> Offsets:
    """Return the counters whose offset differs from that of the ledger `to`, by default none.

    `sums` are those before and after (kWh).
    """
    stored = connection.scalar(select(ledger.c.state).where(ledger.c.meter_id == meter_id))
    found: Mapping[str, Counter] = to_ledger(stored).counters if stored else {}
    wanted = dict.fromkeys(found, 0.0)
    if to is not None:
        wanted = {key: counter.offset for key, counter in to_ledger(to).counters.items()}
    new = {
        key: anew(counter, wanted[key])
        for key, counter in found.items()
        if key in wanted and counter.offset != wanted[key]
    }
    sums = {key: (found[key].total, counter.total) for key, counter in new.items()}
    return Offsets(meter_id, stored, new, sums)


def hand_over(connection: Connection, meter_id: int, source: str) -> None:
    """Make the device's counters of a meter those of another device, or of none."""
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
