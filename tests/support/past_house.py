"""A house of three meters with two days of readings, and what History shows of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from esquirell.domain.meter import Meter
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.domain.tariff import Tariff
from esquirell.runtime.storage import Storage
from esquirell.settings import Settings
from esquirell.storage.maintenance.migrate import upgrade
from esquirell.web.formats import NARROW_SPACE
from esquirell.web.history import HistoryView
from esquirell.web.history_sections import Section
from esquirell.web.selection import RecordedMeters, Selection, select
from esquirell.web.tables import Table
from esquirell.web.texts import DEFAULT, texts_of

TEXTS = texts_of(DEFAULT)
WARSAW = ZoneInfo("Europe/Warsaw")
TODAY = date(2026, 10, 26)
LABEL = "<b>Main</b> & 'co'"
KEYS = {
    "main": ("active_power", "energy_import", "energy_export", "voltage_a", "voltage_b"),
    "pump": ("active_power", "energy_import_a", "energy_import_b"),
    "car": ("active_power", "energy_import"),
    "gone": ("energy_import",),
}
METERS = [
    Meter(name=name, label=label, device_id=name, local_key="0" * 16, upstream=above)
    for name, label, above in (
        ("main", LABEL, ""),
        ("pump", "Heat pump", "main"),
        ("car", "", "main"),
    )
]
RECORDED = RecordedMeters(METERS, KEYS)
HOME = Tariff.model_validate(
    {
        "name": "home",
        "meters": ("main",),
        "currency": "PLN",
        "import_price": "1",
        "export_price": "0.5",
        "fee_per_day": "2",
    }
)


def chosen(query: str) -> Selection:
    found = parse_qs(query)
    return select(lambda name: found.get(name, []), RECORDED, TODAY)


def _local(day: int) -> datetime:
    return datetime(2026, 10, day, tzinfo=WARSAW)


def _values(hours: float) -> dict[str, dict[str, float]]:
    """Main imports 3 kWh an hour and exports 1; of these the pump has 1.5, and the car 1.

    Sums are rounded as the ledger rounds them.
    """
    return {
        "main": {
            "active_power": 2000.0,
            "energy_import": round(100 + 3 * hours, 6),
            "energy_export": round(50 + hours, 6),
            "voltage_a": 231.0,
            "voltage_b": 233.0,
        },
        "pump": {
            "active_power": 1500.0,
            "energy_import_a": round(hours, 6),
            "energy_import_b": round(hours / 2, 6),
        },
        "car": {"active_power": 1000.0, "energy_import": round(hours, 6)},
    }


def sections(storage: Storage, query: str) -> list[Section]:
    return HistoryView(storage, RECORDED, chosen(query), TEXTS).sections()


def table(part: Section) -> Table:
    assert part.table
    return part.table


def figures_of(cells: Sequence[str]) -> list[str]:
    return [cell.replace(NARROW_SPACE, " ") for cell in cells]


@contextmanager
def past_house(folder: Path, tariff: Tariff = HOME) -> Iterator[Storage]:
    """Two days of readings each ten minutes; a year before, one."""
    settings = Settings(timezone="Europe/Warsaw", state_dir=folder, meters=METERS, tariffs=[tariff])
    storage = Storage(lambda: settings, lambda: datetime(2026, 10, 27, tzinfo=UTC))
    upgrade(settings.database_url)
    used = 0.0
    # Nothing is used in the year between. The 25th of 2026 has 25 hours.
    for first, days in ((datetime(2025, 10, 25, tzinfo=WARSAW), 1), (_local(25), 2)):
        end = first + timedelta(days=days)
        at, readings = first.astimezone(UTC), []
        while at <= end:
            readings += [Reading(name, at, values) for name, values in _values(used).items()]
            at, used = at + timedelta(minutes=10), used + 1 / 6
        used -= 1 / 6
        storage.readings.add(readings, {n: MeterStatus(keys=keys) for n, keys in KEYS.items()})
    yield storage
    storage.database.close()
