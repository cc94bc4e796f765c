"""Home Assistant's long-term statistics over its websocket.

Home Assistant accepts more than is safe: an import in another unit changes the unit of the whole
history, a clear without a range deletes all of it, hours that it has not closed yet make it lose
its own, and values are read in the display unit. So what is sent here contains the metadata exactly
as they were read, always a range, and whole hours only; values are read in the statistic's own
unit. (Home Assistant 2026.11: components/recorder/websocket_api.py and statistics.py.)
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from esquirell.domain.errors import HomeAssistantError
from esquirell.domain.long_term import HOUR, KeptStatistic, Row, Scale, Shift
from esquirell.homeassistant.connection import Connection

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_WINDOW = timedelta(days=100)
_READ = ("state", "sum", "mean", "min", "max", "last_reset")
_ARITHMETIC = 1
# What a schema says about an unknown key.
_NOT_KNOWN = "invalid_format"
# Spellings: homeassistant/util/unit_conversion.py of Home Assistant 2026.11.
_KELVIN, _FAHRENHEIT = 273.15, 32.0
_KCAL = 3600 / 4.184

_SCALES: dict[str, dict[str | None, Scale]] = {
    "kWh": {
        "mWh": Scale(1e6),
        "Wh": Scale(1e3),
        "kWh": Scale(1),
        "MWh": Scale(1e-3),
        "GWh": Scale(1e-6),
        "TWh": Scale(1e-9),
        "J": Scale(3.6e6),
        "kJ": Scale(3600),
        "MJ": Scale(3.6),
        "GJ": Scale(3.6e-3),
        "cal": Scale(_KCAL * 1e3),
        "kcal": Scale(_KCAL),
        "Mcal": Scale(_KCAL * 1e-3),
        "Gcal": Scale(_KCAL * 1e-6),
    },
    "W": {
        "mW": Scale(1e3),
        "W": Scale(1),
        "kW": Scale(1e-3),
        "MW": Scale(1e-6),
        "GW": Scale(1e-9),
        "TW": Scale(1e-12),
    },
    "V": {
        # The micro sign is Home Assistant's: a Greek letter.
        "\u03bcV": Scale(1e6),
        "mV": Scale(1e3),
        "V": Scale(1),
        "kV": Scale(1e-3),
        "MV": Scale(1e-6),
    },
    "A": {"\u03bcA": Scale(1e6), "mA": Scale(1e3), "A": Scale(1)},
    "VA": {"mVA": Scale(1e3), "VA": Scale(1), "kVA": Scale(1e-3)},
    "var": {"mvar": Scale(1e3), "var": Scale(1), "kvar": Scale(1e-3)},
    "Hz": {"Hz": Scale(1), "kHz": Scale(1e-3), "MHz": Scale(1e-6), "GHz": Scale(1e-9)},
    "°C": {"°C": Scale(1), "K": Scale(1, _KELVIN), "°F": Scale(1.8, _FAHRENHEIT)},
    "": {None: Scale(1), "": Scale(1), "%": Scale(100)},
}


class LongTermStatistics:
    """Reads and writes hours; values are in the canonical unit of their quantity."""

    written_within_s = 60.0

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_old = False

    def may_write(self) -> bool:
        """Return whether the token is an administrator's."""
        return bool(self._connection.call("auth/current_user").get("is_admin"))

    def find(self, units: Mapping[str, str]) -> dict[str, KeptStatistic | str]:
        """Return the statistics of sensors, by their unique ids; `units` are the canonical ones.

        Sensors that Home Assistant does not know or keeps no statistics for are left out; unusable
        ones are replaced by a sentence. Entity ids don't matter: people rename them.
        """
        entities = {
            entity["entity_id"]: entity["unique_id"]
            for entity in self._connection.call("config/entity_registry/list")
            if entity["platform"] == "mqtt" and entity["unique_id"] in units
        }
        if not entities:
            return {}
        described = self._connection.call(
            "recorder/get_statistics_metadata", statistic_ids=sorted(entities)
        )
        return {
            entities[entry["statistic_id"]]: _statistic(
                entry, units[entities[entry["statistic_id"]]]
            )
            for entry in described
        }

    def is_unchanged(self, statistic: KeptStatistic) -> bool:
        """Return whether Home Assistant still describes the statistic as when it was found."""
        described = self._connection.call(
            "recorder/get_statistics_metadata", statistic_ids=[statistic.name]
        )
        return [_metadata(entry) for entry in described] == [statistic.metadata]

    def hours(self, statistic: KeptStatistic, since: datetime, until: datetime) -> list[Row]:
        """Return the rows of a span, in chronological order."""
        rows = []
        while since < until:
            end = min(since + _WINDOW, until)
            rows += self._read(statistic, since, end, "hour")
            since = end
        return rows

    def last_before(self, statistic: KeptStatistic, moment: datetime) -> Row | None:
        """Return the last row before a given time."""
        months = self._read(statistic, _BEGINNING, moment, "month")
        if not months:
            return None
        rows = self.hours(statistic, months[-1].start, moment)
        return rows[-1] if rows else None

    def write(self, statistic: KeptStatistic, rows: Sequence[Row]) -> None:
        """Overwrite the rows of their hours; the answer comes before they are stored."""
        stats = [_stats(statistic, row) for row in rows]
        if not self._is_old:
            try:
                self._import(statistic.metadata, stats)
            except HomeAssistantError as error:
                if error.reason != _NOT_KNOWN:
                    raise
                self._is_old = True
        if self._is_old:
            self._import(_as_once(statistic.metadata), stats)

    def shift(self, statistic: KeptStatistic, shift: Shift) -> None:
        """Add to the sum of an hour and of all later ones, including future ones."""
        self._connection.call(
            "recorder/adjust_sum_statistics",
            statistic_id=statistic.name,
            start_time=shift.start.isoformat(),
            adjustment=shift.amount * statistic.scale.factor,
            adjustment_unit_of_measurement=statistic.unit,
        )

    def remove(self, statistic: KeptStatistic, hours: Sequence[datetime]) -> None:
        """Remove the rows of hours. Raises HomeAssistantError where only all can be removed."""
        for since, until in _spans(hours):
            try:
                self._connection.call(
                    "recorder/clear_statistics",
                    statistic_ids=[statistic.name],
                    start_time=since.isoformat(),
                    end_time=until.isoformat(),
                )
            except HomeAssistantError as error:
                if error.reason != _NOT_KNOWN:
                    raise
                raise HomeAssistantError(
                    "this Home Assistant can only delete a whole statistic, not single hours, so "
                    "that the added hours stay: update it, then run this again"
                ) from error

    def _import(self, metadata: Mapping[str, object], stats: list[dict[str, object]]) -> None:
        self._connection.call("recorder/import_statistics", metadata=dict(metadata), stats=stats)

    def _read(
        self, statistic: KeptStatistic, since: datetime, until: datetime, period: str
    ) -> list[Row]:
        kind = statistic.metadata.get("unit_class")
        # Without this, values come in the unit that the sensor currently displays.
        units = {"units": {kind: statistic.unit}} if kind and statistic.unit else {}
        found = self._connection.call(
            "recorder/statistics_during_period",
            start_time=since.isoformat(),
            end_time=until.isoformat(),
            statistic_ids=[statistic.name],
            period=period,
            types=_READ,
            **units,
        )
        return [_row(statistic.scale, row) for row in found.get(statistic.name, ())]


def _statistic(described: Mapping[str, Any], canonical: str) -> KeptStatistic | str:
    name, unit = described["statistic_id"], described["statistics_unit_of_measurement"]
    scale = _scale_of(canonical, unit)
    if scale is None:
        return f"{name} is kept in {unit}, which can't be converted from {canonical}"
    if described["source"] != "recorder":
        return f"{name} is not kept by Home Assistant's recorder"
    counts = bool(described["has_sum"])
    metadata = _metadata(described)
    averages = metadata["mean_type"] == _ARITHMETIC
    if counts == averages:
        return f"{name} is neither a counter nor a mean, so it is left alone"
    return KeptStatistic(name, counts, unit, metadata, scale)


def _metadata(described: Mapping[str, Any]) -> dict[str, object]:
    metadata: dict[str, object] = {
        "has_sum": described["has_sum"],
        "name": described["name"],
        "source": described["source"],
        "statistic_id": described["statistic_id"],
        "unit_of_measurement": described["statistics_unit_of_measurement"],
    }
    mean_type = described.get("mean_type", int(described["has_mean"]))
    return metadata | {"mean_type": mean_type, "unit_class": described["unit_class"]}


def _as_once(metadata: Mapping[str, object]) -> dict[str, object]:
    """Return metadata as releases up to 2025 expect them: they derive the class from the unit."""
    new = ("mean_type", "unit_class")
    old = {name: value for name, value in metadata.items() if name not in new}
    return old | {"has_mean": metadata["mean_type"] == _ARITHMETIC}


def _row(scale: Scale, found: Mapping[str, Any]) -> Row:
    def figure(name: str) -> float | None:
        value = found.get(name)
        return None if value is None else scale.back(float(value))

    return Row(
        _moment(found["start"]),
        figure("state"),
        figure("sum"),
        _moment(found["last_reset"]) if found.get("last_reset") is not None else None,
        figure("mean"),
        figure("min"),
        figure("max"),
    )


def _stats(statistic: KeptStatistic, row: Row) -> dict[str, object]:
    """Return a complete row: missing values become null."""
    if row.start.minute or row.start.second or row.start.microsecond:
        raise ValueError(f"{row.start} is not the start of a UTC hour")
    named = ("state", "sum") if statistic.counts else ("mean", "min", "max")
    figures = {name: getattr(row, name) for name in named}
    stats = {
        name: statistic.scale.to(figure) for name, figure in figures.items() if figure is not None
    }
    reset = {"last_reset": row.last_reset.isoformat()} if row.last_reset else {}
    return {"start": row.start.isoformat(), **stats, **reset}


def _spans(hours: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Yield the runs of consecutive hours, each with its end."""
    since: datetime | None = None
    until: datetime | None = None
    for hour in sorted(hours):
        if since is None or until is None or hour != until:
            if since and until:
                yield since, until
            since = hour
        until = hour + HOUR
    if since and until:
        yield since, until


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _scale_of(canonical: str, unit: str | None) -> Scale | None:
    """Return how values of a canonical unit convert to `unit`; None if they can't."""
    if canonical == unit:
        return Scale(1)
    return _SCALES.get(canonical, {}).get(unit)
