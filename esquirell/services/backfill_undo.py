"""Undo of the last backfill: overwritten rows are restored, added ones removed.

A sum is corrected by the amount that was added, so that corrections made meanwhile stay. An hour
whose row differs from what was written is left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.long_term import HOUR, KeptStatistic, Row, Shift, Step, Write
from esquirell.domain.reading import iso
from esquirell.services.backfill import (
    alike,
    same,
    shift_and_see,
    sum_at,
    wait_until,
    write_and_see,
)
from esquirell.services.backfill_plan import (
    Journal,
    LongTerm,
    OpenLongTerm,
    Sensor,
)


@dataclass(slots=True)
class Undone:
    """The result: hours restored, removed, or left alone because they have changed since."""

    run_at: datetime
    restored: int = 0
    removed: int = 0
    left: int = 0
    problems: list[str] = field(default_factory=list)

    def payload(self) -> dict[str, Any]:
        counts = {"restored": self.restored, "removed": self.removed, "left": self.left}
        return {"run_at": iso(self.run_at), **counts, "problems": self.problems}


class Undo:
    """Undoes backfills, the last one first."""

    def __init__(self, connect: OpenLongTerm, journal: Journal) -> None:
        self._connect = connect
        self._journal = journal

    def run(self, sensors: Sequence[Sensor]) -> Undone | None:
        """Undo the last backfill that was not undone; None if there is none.

        Raises ConfigError, UnavailableError and HomeAssistantError; running it again continues.
        """
        last = self._journal.last_run()
        if last is None:
            return None
        at, taken = last
        undone = Undone(at)
        by_key = {(sensor.meter, sensor.key): sensor for sensor in sensors}
        with self._connect() as home:
            if not home.may_write():
                raise ConfigError("home_assistant.token must be an administrator's")
            found = home.find({sensor.unique_id: sensor.unit for sensor in sensors})
            steps: list[tuple[Step, KeptStatistic]] = []
            for step in taken:
                sensor = by_key.get((step.meter, step.key))
                kept = found.get(sensor.unique_id) if sensor else None
                if kept is None or isinstance(kept, str):
                    undone.problems.append(
                        kept or f"Home Assistant has no {step.key} of {step.meter} any more"
                    )
                else:
                    steps.append((step, kept))
            for step, kept in steps:
                _restore(home, step, kept, undone)
            for step, kept in steps:
                _remove(home, step, kept, undone)
                self._shift_back(home, step, kept)
                self._journal.undone(step.id)
        return undone

    def _shift_back(self, home: LongTerm, step: Step, kept: KeptStatistic) -> None:
        if step.shift is None or not _was_shifted(home, step, kept):
            return
        back = Shift(step.shift.start, -step.shift.amount)
        before = sum_at(home, kept, back.start)
        if step.undo_from is not None and alike(before, step.undo_from + back.amount):
            return  # it was interrupted at that point
        self._journal.undoing(step.id, before)
        shift_and_see(home, kept, back, before)


def _restore(home: LongTerm, step: Step, kept: KeptStatistic, undone: Undone) -> None:
    rows = _present(home, kept, step.writes)
    back = []
    for write in step.writes:
        row = rows.get(write.after.start)
        if write.before is None:
            continue
        if row is not None and _is_ours(row, write.after) and not same(row, write.before):
            back.append(_former(row, write.before, write.after))
        elif row is None or not same(row, write.before):
            undone.left += 1
    if back:
        write_and_see(home, kept, back)
        undone.restored += len(back)


def _remove(home: LongTerm, step: Step, kept: KeptStatistic, undone: Undone) -> None:
    rows = _present(home, kept, step.writes)
    added = [write.after for write in step.writes if write.before is None]
    ours = {row.start for row in added if row.start in rows and _is_ours(rows[row.start], row)}
    undone.left += sum(row.start in rows and row.start not in ours for row in added)
    if ours:
        home.remove(kept, sorted(ours))
        wait_until(
            home,
            lambda: not ours & _present(home, kept, step.writes).keys(),
            f"the hours that were added to {kept.name} are still there",
        )
        undone.removed += len(ours)


def _present(home: LongTerm, kept: KeptStatistic, writes: Sequence[Write]) -> dict[datetime, Row]:
    if not writes:
        return {}
    starts = [write.after.start for write in writes]
    return {row.start: row for row in home.hours(kept, min(starts), max(starts) + HOUR)}


def _is_ours(row: Row, written: Row) -> bool:
    """Return whether a row holds what was written; its sum may have been shifted since."""
    return same(replace(row, sum=None), replace(written, sum=None))


def _former(row: Row, before: Row, written: Row) -> Row:
    if row.sum is None or before.sum is None or written.sum is None:
        return before
    return replace(before, sum=row.sum + before.sum - written.sum)


def _was_shifted(home: LongTerm, step: Step, kept: KeptStatistic) -> bool:
    """Return whether a shift was carried out: it may have been interrupted before."""
    if step.done or step.shift is None or step.sum_before is None:
        return step.done
    return alike(sum_at(home, kept, step.shift.start), step.sum_before + step.shift.amount)
