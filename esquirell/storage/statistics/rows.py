"""Statistics as rows, and the counters at the end of an hour as JSON."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from esquirell.domain.periods import Resolution
from esquirell.domain.statistic import Statistic
from esquirell.domain.usage import Counter, Sample
from esquirell.storage.tables import STATISTIC_COLUMNS, statistic

_EMPTY: dict[str, Any] = dict.fromkeys((*STATISTIC_COLUMNS, "extra", "counters"))


def to_row(new: Statistic, resolution: Resolution, meter_id: int, zone: str) -> dict[str, Any]:
    """Lay a statistic out as a row, with its start also in the time of `zone`."""
    wide = {name: value for name, value in new.values.items() if name in _EMPTY}
    extra = {name: value for name, value in new.values.items() if name not in _EMPTY}
    local = new.start.astimezone(ZoneInfo(zone)).isoformat(" ", "minutes")
    key = {"meter_id": meter_id, "resolution": resolution, "start": new.start}
    counts = {"local_start": local, "readings": new.readings, "hours": new.hours}
    return _EMPTY | wide | key | counts | {"extra": extra or None}


class StatisticShape:
    """What a query reads of a row: all values, or those of some names."""

    def __init__(self, names: Collection[str] | None = None) -> None:
        self._wanted = names
        wide = (statistic.c[name] for name in STATISTIC_COLUMNS if self._wants(name))
        counts = (statistic.c.start, statistic.c.readings, statistic.c.hours)
        self.columns = (*counts, statistic.c.extra, *wide)
        self._names = tuple(column.key for column in self.columns)

    def to_statistic(self, meter: str, row: Sequence[Any]) -> Statistic:
        """Turn a row of `columns` into a statistic; null is absent."""
        values = {
            name: value for name, value in zip(self._names, row, strict=True) if value is not None
        }
        start, readings, hours = (values.pop(name) for name in ("start", "readings", "hours"))
        if extra := values.pop("extra", None):
            values |= {name: value for name, value in extra.items() if self._wants(name)}
        return Statistic(meter, start, values, readings, hours)

    def _wants(self, name: str) -> bool:
        return self._wanted is None or name in self._wanted


def counters_json(counters: Mapping[str, Counter] | None) -> dict[str, Any] | None:
    """Write counters: of each its last sample and the suspects since, as `[at, kWh]`."""
    if counters is None:
        return None
    return {key: [list(one.last), [*map(list, one.suspects)]] for key, one in counters.items()}


def read_counters(stored: Mapping[str, Any]) -> dict[str, Counter]:
    """Read counters as `counters_json` writes them."""
    return {
        key: Counter(Sample(*last), [Sample(*one) for one in suspects])
        for key, (last, suspects) in stored.items()
    }
