"""Readings as rows: a column per quantity of the contract, JSON for the rarer keys."""

from collections.abc import Collection, Sequence
from typing import Any

from esquirell.domain.reading import Reading
from esquirell.storage.tables import QUANTITY_COLUMNS, reading

_EMPTY = dict.fromkeys(QUANTITY_COLUMNS)


def to_row(taken: Reading, meter_id: int) -> dict[str, Any]:
    """Lay a reading out as a row; a column that the meter did not fill is null."""
    own_column = {key: value for key, value in taken.values.items() if key in _EMPTY}
    extra = {key: value for key, value in taken.values.items() if key not in _EMPTY}
    key = {"meter_id": meter_id, "measured_at": taken.measured_at, "extra": extra or None}
    beside = {
        "holds_s": taken.holds_s,
        "begins": sorted(taken.begins) or None,
        "ranges": {name: list(seen) for name, seen in taken.ranges.items()} or None,
    }
    return _EMPTY | own_column | key | beside


class Shape:
    """What a query reads of a row: all values, or those of some quantity keys."""

    def __init__(self, keys: Collection[str] | None = None) -> None:
        self._wanted = keys
        self._wide = tuple(filter(self._wants, QUANTITY_COLUMNS))
        wide = (reading.c[key] for key in self._wide)
        self.columns = (reading.c.measured_at, reading.c.extra, *wide)

    def to_reading(self, meter: str, row: Sequence[Any]) -> Reading:
        """Turn a row of `columns` into a reading; null is absent."""
        measured_at, extra, wide = row[0], row[1], row[2:]
        values = {
            key: value for key, value in zip(self._wide, wide, strict=True) if value is not None
        }
        if extra:
            values |= {key: value for key, value in extra.items() if self._wants(key)}
        return Reading(meter, measured_at, values)

    def _wants(self, key: str) -> bool:
        return self._wanted is None or key in self._wanted
