"""A house whose past is staged: what a meter measured, what we stored, what Home Assistant saw."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.cli import Said, esquirell
from support.home_assistant import HomeAssistant

from esquirell.domain.long_term import HOUR, whole_hour
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.storage.database import Database
from esquirell.storage.maintenance.revision import ensure_current
from esquirell.storage.readings import Readings

MINUTE = timedelta(minutes=1)
ENERGY, POWER = "energy_import", "active_power"
KEYS = (POWER, ENERGY)
BEGINS = 1000.0
PRICE = 0.8

CONFIGURATION = """\
timezone = "{zone}"
redis.url = "redis://127.0.0.1:1/0"
mqtt.port = 1
[home_assistant]
url = "{url}"
token_file = "ha-token"
[[tariffs]]
name = "home"
currency = "PLN"
import_price = {price}
fee_per_month = 0
"""
METER = """\
[[meters]]
name = "{name}"
device_id = "id-{name}"
address = "127.0.0.{number}"
local_key = '0123456789abcdef'
profile = "owon_pc321"
"""


def power_at(moment: datetime) -> float:
    """Return what was drawn (W): other amounts each hour, and twice as much in its second half."""
    level = 300.0 + 100.0 * (int(moment.timestamp()) // 3600 % 7)
    return level if moment.minute < 30 else 2 * level


@dataclass
class StagedHistory:
    """What a meter showed, from `start` on; `energy` is that of its counter (kWh).

    `share` is its part of what the house drew.
    """

    start: datetime
    hours: int
    every: timedelta = MINUTE
    meter: str = "main"
    share: float = 1.0
    energy: dict[datetime, float] = field(init=False)

    def __post_init__(self) -> None:
        total = BEGINS
        self.energy = {}
        for number in range(round(self.hours * HOUR / self.every)):
            moment = self.start + number * self.every
            self.energy[moment] = round(total, 3)
            total += self.power_at(moment) / 1000 * (self.every / HOUR)

    def power_at(self, moment: datetime) -> float:
        """Return what was drawn (W)."""
        return self.share * power_at(moment)

    def during(self, *spans: tuple[float, float]) -> Iterator[datetime]:
        """Yield the moments within spans, in hours from the start."""
        for moment in self.energy:
            hour = (moment - self.start) / HOUR
            if any(begin <= hour < end for begin, end in spans):
                yield moment

    def used(self, hour: int) -> float:
        """Return what the counter moved by from the last moment before an hour to its own last."""
        return round(self.at_end(hour) - self.at_end(hour - 1), 3)

    def at_end(self, hour: int) -> float:
        """Return what the counter shows at the last moment of an hour."""
        return self.energy.get(self.start + (hour + 1) * HOUR - self.every, BEGINS)

    def power(self, hour: int) -> tuple[float, float, float]:
        """Return mean, minimum and maximum of an hour."""
        level = power_at(self.start + hour * HOUR)
        return 1.5 * level, level, 2 * level


def store(database: Database, history: StagedHistory, moments: Iterable[datetime]) -> None:
    """Store what we measured."""
    readings = [
        Reading(
            history.meter, moment, {ENERGY: history.energy[moment], POWER: history.power_at(moment)}
        )
        for moment in moments
    ]
    status = MeterStatus(last_success=readings[-1].measured_at, keys=KEYS)
    Readings(database).add(readings, {history.meter: status})


class StagedFiles:
    """The files of our service in a folder: configuration, token and database."""

    def __init__(
        self,
        folder: Path,
        url: str,
        token: str,
        zone: str = "UTC",
        meters: Sequence[str] = ("main",),
    ) -> None:
        self.config = folder / "esquirell.toml"
        tables = "".join(
            METER.format(name=name, number=number) for number, name in enumerate(meters, 1)
        )
        self.config.write_text(CONFIGURATION.format(zone=zone, price=PRICE, url=url) + tables)
        self.config.chmod(0o600)
        self.token = folder / "ha-token"
        self.token.write_text(token)
        self.token.chmod(0o600)
        (folder / "data").mkdir()
        self._database = Database(f"sqlite:///{folder / 'data' / 'esquirell.db'}")
        ensure_current(self._database)

    def close(self) -> None:
        self._database.close()

    def store(self, history: StagedHistory, moments: Iterable[datetime]) -> None:
        """Store what we measured."""
        store(self._database, history, moments)

    def backfill(self, *options: str) -> Said:
        return esquirell("--config", str(self.config), "--json", "ha", "backfill", *options)

    def undo(self) -> Said:
        return esquirell("--config", str(self.config), "--json", "ha", "undo")


class StagedHouse(StagedFiles):
    """The same with a real Home Assistant."""

    def __init__(
        self,
        folder: Path,
        ha: "HomeAssistant",
        zone: str = "UTC",
        meters: Sequence[str] = ("main",),
    ) -> None:
        super().__init__(folder, ha.url, ha.token, zone, meters)
        self.ha = ha

    def ha_saw(
        self, history: StagedHistory, moments: Iterable[datetime], unavailable: float = -1
    ) -> None:
        """Stage what Home Assistant recorded; it is to be started afterwards.

        `unavailable` is the hour from the start at which it was told that the sensors are away.
        """
        seen = sorted(moments)
        away = [(history.start + unavailable * HOUR, "unavailable")] if unavailable >= 0 else []
        energy = [(moment, f"{history.energy[moment]}") for moment in seen]
        power = [(moment, f"{power_at(moment)}") for moment in seen]
        self.ha.remember(
            {
                self.ha.entities[ENERGY]: sorted(energy + away),
                self.ha.entities[POWER]: sorted(power + away),
            }
        )


def hours_ago(count: int) -> datetime:
    return whole_hour(datetime.now(UTC)) - count * HOUR
