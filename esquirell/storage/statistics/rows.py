"""Statistics as rows, and the counters at the end of an hour as JSON."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from esquirell.domain.booking import Sample
from esquirell.domain.hour import Counters
from esquirell.domain.periods import Resolution
from esquirell.domain.statistic import Statistic
from esquirell.storage.tables import STATISTIC_COLUMNS, statistic

_COUNTS = ("start", "readings", "hours", "seconds", "estimated")
_EMPTY: dict[str, Any] = dict.fromkeys((*STATISTIC_COLUMNS, "extra", "counters"))


def to_row(new: Statistic, resolution: Resolution, meter_id: int, zone: str) -> dict[str, Any]:
    """Return a statistic as a row, with its start also in the time of `zone`."""
    wide = {name: value for name, value in new.values.items() if name in _EMPTY}
    extra = {name: value for name, value in new.values.items() if name not in _EMPTY}
    key = {"meter_id": meter_id, "resolution": resolution, "start": new.start}
    counts = {name: getattr(new, name) for name in ("readings", "hours", "seconds", "estimated")}
    named = {"local_start": local(new.start, zone), "extra": extra or None}
    return _EMPTY | wide | key | counts | named


def local(start: datetime, zone: str) -> str:
    """Return a start in the time of a zone."""
    return start.astimezone(ZoneInfo(zone)).isoformat(" ", "minutes")


class StatisticShape:
    """What a query reads from a row: all values, or those of some names."""

    def __init__(self, names: Collection[str] | None = None) -> None:
        self._wanted = names
        wide = (statistic.c[name] for name in STATISTIC_COLUMNS if self._wants(name))
        counts = (statistic.c[name] for name in _COUNTS)
        self.columns = (*counts, statistic.c.extra, *wide)
        self._names = tuple(column.key for column in self.columns)

    def to_statistic(self, meter: str, row: Sequence[Any]) -> Statistic:
        """Turn a row of `columns` into a statistic; null is absent."""
        values = {
            name: value for name, value in zip(self._names, row, strict=True) if value is not None
        }
        counts = [values.pop(name, None) for name in _COUNTS]
        if extra := values.pop("extra", None):
            values |= {name: value for name, value in extra.items() if self._wants(name)}
        start, readings, hours, seconds, estimated = counts
        return Statistic(meter, start, values, readings, hours, seconds, estimated)

    def _wants(self, name: str) -> bool:
        return self._wanted is None or name in self._wanted


def counters_json(counters: Counters | None) -> dict[str, Any] | None:
    """Return counters as JSON: for each the last sample, to continue from, as `[at, kWh]`."""
    return None if counters is None else {key: list(last) for key, last in counters.items()}


def read_counters(stored: Mapping[str, Any]) -> dict[str, Sample]:
    """Read counters as `counters_json` writes them, also those of its first version.

    The first version stored its own doubts with the sample: `[[at, kWh], suspects]`.
    """
    return {
        key: Sample(*(last[0] if isinstance(last[0], list) else last))
        for key, last in stored.items()
    }
