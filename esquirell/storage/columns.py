"""Readings by columns, for computing statistics."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Row

from esquirell.domain.hour import QUARTER_S, Batch
from esquirell.storage.tables import QUANTITY_COLUMNS, reading

_BESIDE = ("measured_at", "extra", "holds_s", "begins", "ranges")


class Columns:
    """What a query reads of a row: all values, or those of some quantity keys."""

    def __init__(self, keys: Collection[str] | None = None) -> None:
        self._keys = keys
        self._wide = tuple(key for key in QUANTITY_COLUMNS if keys is None or key in keys)
        self.columns = tuple(reading.c[name] for name in (*_BESIDE, *self._wide))

    def to_batch(self, rows: Sequence[Sequence[Any]]) -> Batch:
        """Turn rows of `columns` into columns; a quantity without values is left out."""
        if not rows:
            return Batch([], {})
        moments, extras, holds, begins, ranges, *wide = zip(*rows, strict=True)
        values: dict[str, Sequence[float | None]] = {
            key: column
            for key, column in zip(self._wide, wide, strict=True)
            if column.count(None) < len(column)
        }
        return Batch(
            [moment.timestamp() for moment in moments],
            values | self._by_key(extras),
            holds if any(holds) else (),
            {place: keys for place, keys in enumerate(begins) if keys},
            {place: seen for place, seen in enumerate(ranges) if seen},
        )

    def _by_key(
        self, extras: Sequence[Mapping[str, float] | None]
    ) -> dict[str, Sequence[float | None]]:
        keys = dict.fromkeys(key for extra in extras for key in extra or ())
        wanted = [key for key in keys if self._keys is None or key in self._keys]
        return {key: [(extra or {}).get(key) for extra in extras] for key in wanted}


def by_whole_quarters(pages: Iterable[Sequence[Row[Any]]]) -> Iterator[Sequence[Row[Any]]]:
    """Regroup pages of rows, so that each quarter of an hour stays together."""
    held: list[Row[Any]] = []
    for page in pages:
        held += page
        begin = held[-1].measured_at.timestamp() // QUARTER_S * QUARTER_S
        border = bisect_left(held, begin, key=lambda row: row.measured_at.timestamp())
        if border:
            yield held[:border]
            del held[:border]
    if held:
        yield held
