"""What backfills wrote into Home Assistant's statistics, and what was there before."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update

from esquirell.domain.long_term import Row, Shift, Step, Write
from esquirell.storage.database import Database
from esquirell.storage.tables import backfill


class Backfills:
    """Keeps the steps of backfills."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, run: str, at: datetime, step: Step) -> int:
        """Store a step before it is done; return its number. Raises UnavailableError."""
        row = {
            "run": run,
            "at": at,
            "meter": step.meter,
            "key": step.key,
            "done": step.done,
            "step": _to_json(step),
        }
        with self._database.write() as connection:
            number = connection.execute(insert(backfill).values(row)).inserted_primary_key
        assert number is not None  # noqa: S101 - for the type checker
        return int(number[0])

    def confirm(self, number: int) -> None:
        """Record that a step was done. Raises UnavailableError."""
        self._set(number, done=True)

    def undoing(self, number: int, sum_before: float) -> None:
        """Record that a shift is about to be undone, and the sum of its hour."""
        self._set(number, undo_from=sum_before)

    def undone(self, number: int) -> None:
        """Record that a step was undone. Raises UnavailableError."""
        self._set(number, undone=True)

    def last_run(self) -> tuple[datetime, list[Step]] | None:
        """Return the last run that was not undone, its latest step first, and its time.

        Raises UnavailableError.
        """
        todo = select(backfill).where(backfill.c.undone.is_(False)).order_by(backfill.c.id.desc())
        with self._database.read() as connection:
            last = connection.execute(todo.limit(1)).first()
            if last is None:
                return None
            rows = connection.execute(todo.where(backfill.c.run == last.run)).all()
        return last.at, [_step(row) for row in rows]

    def _set(self, number: int, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(update(backfill).where(backfill.c.id == number).values(values))


def _to_json(step: Step) -> dict[str, Any]:
    shift = step.shift and [step.shift.start.timestamp(), step.shift.amount]
    writes = [
        [write.before and _figures(write.before), _figures(write.after)] for write in step.writes
    ]
    return {"shift": shift, "sum_before": step.sum_before, "writes": writes}


def _step(row: Any) -> Step:  # noqa: ANN401 - a row of any query
    kept = row.step
    shift = Shift(_moment(kept["shift"][0]), kept["shift"][1]) if kept["shift"] else None
    writes = [Write(before and _row(before), _row(after)) for before, after in kept["writes"]]
    return Step(
        row.id, row.meter, row.key, row.done, shift, kept["sum_before"], row.undo_from, writes
    )


def _figures(row: Row) -> list[float | None]:
    reset = None if row.last_reset is None else row.last_reset.timestamp()
    return [row.start.timestamp(), row.state, row.sum, reset, row.mean, row.min, row.max]


def _row(figures: Sequence[float | None]) -> Row:
    start, state, total, reset, mean, least, greatest = figures
    assert start is not None  # noqa: S101 - for the type checker: each row has one
    return Row(
        _moment(start),
        state,
        total,
        None if reset is None else _moment(reset),
        mean,
        least,
        greatest,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
