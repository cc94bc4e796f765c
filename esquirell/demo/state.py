"""What to show at one moment, and what stays the same throughout."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from esquirell.demo.home import Home
from esquirell.demo.plan import HOST, Plan
from esquirell.demo.record import Planned, Tally
from esquirell.demo.servers import Servers
from esquirell.demo.watch import WatchState
from esquirell.domain.record import record
from esquirell.runtime.unconfigured import DAY_S


@record
class Facts:
    """What runs, and where."""

    plan: Plan
    meters: Sequence[str]
    servers: Servers
    home: Home

    @property
    def title(self) -> str:
        """What is simulated."""
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
