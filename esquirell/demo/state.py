"""What to show at one moment, read from the demo's database, and what stays the same."""

import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self

from esquirell.beat.rules import rule_of
from esquirell.demo.home import Home
from esquirell.demo.plan import HOST, Plan
from esquirell.demo.servers import Servers
from esquirell.demo.watch import Watch, WatchState
from esquirell.domain.record import record
from esquirell.domain.schedule import Schedule
from esquirell.runtime.storage import stores_at
from esquirell.runtime.unconfigured import DAY_S
from esquirell.runtime.upkeep import has_tables

STRAGGLERS_S = 3.0
LOOK_AGAIN_S = 0.02


@record
class Planned:
    """A schedule and the seconds until its next run; None when it does not run."""

    schedule: Schedule
    next_s: float | None


class Record:
    """Reads the database beside the service.

    While the service creates its tables a reader would be in its way: ask once they exist.
    """

    def __init__(self, file: Path, zone: str) -> None:
        self._stores = stores_at(f"sqlite:///{file}", zone)
        self._zone = zone

    def stored(self) -> int:
        """Count the stored readings. Raises UnavailableError."""
        return sum(self._stores.readings.counts().values())

    def has_tables(self) -> bool:
        """Whether the service got as far as creating its tables. Raises UnavailableError."""
        return has_tables(self._stores.database)

    def schedules(self) -> list[Planned]:
        """Return the schedules that were not removed. Raises UnavailableError."""
        stored = self._stores.schedules.all()
        return [self._planned(schedule.effective()) for schedule in stored if not schedule.removed]

    def close(self) -> None:
        self._stores.database.close()

    def _planned(self, schedule: Schedule) -> Planned:
        now = datetime.now(UTC)
        due = rule_of(schedule, self._zone).after(now) if schedule.enabled else None
        return Planned(schedule, (due - now).total_seconds() if due else None)


@record
class Tally:
    """Rows in the database and readings seen on MQTT."""

    stored: int
    published: int

    def __str__(self) -> str:
        """Return the sentence part that both views and the summary use."""
        return f"{self.stored} readings stored, {self.published} published"


def settle(watch: Watch, record: Record) -> Tally:
    """Count after the service has ended; the last messages get a moment to arrive.

    Raises UnavailableError.
    """
    stored = record.stored() if record.has_tables() else 0
    deadline = time.monotonic() + STRAGGLERS_S
    while watch.sight().readings < stored and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_S)
    return Tally(stored, watch.sight().readings)


@record
class Facts:
    """What runs, and where."""

    plan: Plan
    meters: Sequence[str]
    servers: Servers
    home: Home

    @property
    def title(self) -> str:
        count = len(self.meters)
        meters = "a simulated meter" if count == 1 else f"{count} simulated meters"
        return f"{meters} (PC321-W-TY), Tuya protocol {self.plan.protocol}"

    @property
    def pace(self) -> str:
        """How fast time passes in the house, and what the signs of values mean."""
        return (
            f"A day passes in {DAY_S / 60:.0f} minutes, from 6 in the morning; "
            "below 0 W the sun feeds in"
        )

    @property
    def redis(self) -> str:
        """The Redis server: its name only, as its path may be longer than a line."""
        program = Path(self.servers.redis)
        bundled = "site-packages" in program.parts
        return f"{program.name} (Python package)" if bundled else str(program)

    @property
    def broker(self) -> str:
        """The broker and where it listens."""
        return f"{self.servers.broker.program} on {HOST}:{self.servers.port}"

    @property
    def advice(self) -> str:
        """The heading of the commands, with a hint where to get the first of them."""
        advice = "look at it from outside"
        if shutil.which("mosquitto_sub"):
            return advice
        return f"{advice} (mosquitto_sub: sudo apt install mosquitto-clients)"

    @property
    def commands(self) -> tuple[str, str]:
        """How to watch from another terminal: messages, and stored readings."""
        return (
            f"mosquitto_sub -h {HOST} -p {self.servers.port} -t 'esquirell/#' -v",
            f"{_esquirell()} --config {self.home.config} readings",
        )


@record
class DemoState:
    """What the demo shows at one moment."""

    elapsed_s: float
    sight: WatchState
    tally: Tally
    schedules: Sequence[Planned]


class View(Protocol):
    """Shows scenes inside the `with` block."""

    pause_s: float

    def show(self, state: DemoState) -> None:
        """Show a state."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End."""


def clock(seconds: float) -> str:
    """Return a duration as on a clock: `0:42`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _esquirell() -> str:
    """Return the shortest way to call this program from the current folder."""
    if shutil.which("esquirell"):
        return "esquirell"
    script = Path(sys.executable).with_name("esquirell")
    if not script.exists():
        return f"{sys.executable} -m esquirell"
    here = Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)
