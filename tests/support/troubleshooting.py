"""The troubleshooting guide's tables of what each fault looks like, held against a service."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.cli import Said, esquirell
from support.mosquitto import Mosquitto
from support.mqtt_observer import retained
from support.redis_server import RedisProcess
from support.service import Service
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "troubleshooting.md"
ROW = re.compile(r"^\|(.*)\|$")
LIST = ("meters", "list", "--json")
# What is said within 30 s; on a busy machine to look at all places takes its time, too.
WITHIN_S = 60.0
START_S = 180.0
WELL = {
    "health": "0",
    "bridge/health": "healthy",
    "bridge/state": "online",
    "availability": "online",
    "meters list": "online",
    "doctor": "0",
}


def faults() -> dict[str, dict[str, str]]:
    """Read the tables of the guide: what each place shows, by fault."""
    section = GUIDE.read_text().partition("## What each fault looks like")[2]
    found: dict[str, dict[str, str]] = {}
    names: list[str] = []
    for line in section.partition("\n## ")[0].splitlines():
        row = ROW.match(line)
        if row is None or set(line) <= set("|-"):
            continue
        place, *cells = [cell.strip() for cell in row[1].split("|")]
        if place:
            for name, cell in zip(names, cells, strict=True):
                found[name][place.strip("`")] = cell
        else:
            names = cells
            found |= {name: {} for name in names}
    return found


FAULTS = faults()


@dataclass
class House:
    """A service that reads one meter, and its surroundings."""

    service: Service
    broker: Mosquitto
    server: RedisProcess
    device: SimulatedMeter
    run: Callable[..., Said] = esquirell

    def command(self, *words: str) -> tuple[int, str]:
        said = self._say(*words)
        return said.code, said.out + said.err

    def _say(self, *words: str) -> Said:
        return self.run("--config", str(self.service.config), *words)

    def shows(self, place: str) -> str:
        """Return what a place shows, as the tables write it."""
        if place in ("health", "doctor"):
            code, said = self.command(place)
            return f"{code}, *{said}*"
        if place == "meters list":
            return str(self._say(*LIST).json[0]["state"])
        topic = "meter/main/availability" if place == "availability" else place
        shape = json.loads(retained(self.broker.port).get(f"esquirell/{topic}", b"{}"))
        if place == "bridge/health":
            return "healthy" if shape.get("healthy") else "not healthy"
        return f"{shape.get('state')}, `{shape.get('reason')}`"


def agrees(expected: str, shown: str) -> bool:
    """Whether a place shows what its cell says: the first word, and each part that is marked."""
    first = expected.partition(",")[0]
    marked = re.findall(r"[*`]([^*`]+)[*`]", expected)
    return shown.partition(",")[0] == first and all(part in shown for part in marked)


def is_checked(cell: str) -> bool:
    """Whether a place can be looked at meanwhile, and shows something of the fault."""
    return cell not in {"-", "as before"} and "where allowed" not in cell


Injected = Callable[[House], AbstractContextManager[None]]


def check_faults(house: House, injected: Mapping[str, Injected]) -> None:
    """Inject one fault after the other: every place shows it, and that it is over."""
    expect(house, WELL, "before")
    for fault, inject in injected.items():
        with inject(house):
            expect(house, FAULTS[fault], fault)
        expect(house, WELL, f"after {fault}")


def expect(house: House, table: dict[str, str], when: str) -> None:
    """Wait until every place shows what it should."""
    for place, cell in table.items():
        if is_checked(cell):
            expect_at(house, place, cell, when)


def expect_at(house: House, place: str, cell: str, when: str) -> None:
    seen = [""]

    def look() -> bool:
        with suppress(OSError, ValueError):
            seen.append(house.shows(place))
        return agrees(cell, seen[-1])

    eventually(look, WITHIN_S, lambda: f"{when}: {place} shows {cell}, not {seen[-1]}")
