"""Take the pictures of the page in docs/images: a simulated house with a week behind it."""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.browser import DESKTOP, PHONE, Window, chromium  # noqa: E402
from support.page import await_page  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.redis_server import RedisProcess  # noqa: E402
from support.service import KEY, Service, configuration  # noqa: E402
from support.waiting import eventually  # noqa: E402

from esquirell.domain.meter import Meter  # noqa: E402
from esquirell.domain.reading import MeterStatus, Reading  # noqa: E402
from esquirell.profiles import Choices  # noqa: E402
from esquirell.storage.database import Database  # noqa: E402
from esquirell.storage.maintenance.revision import ensure_current  # noqa: E402
from esquirell.storage.readings import Readings  # noqa: E402
from esquirell.tuya.simulator.meter import SimulatedMeter  # noqa: E402
from esquirell.tuya.simulator.simulated_house import BASE_W, SimulatedHouse, _Phase  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DAYS = 14
STEP_S = 300
# What time it is in the pictures, about: they show a day that has happened.
HOUR = 15
PASSWORD = "only-for-pictures"  # noqa: S105 - of a service that lives for a minute
METERS = (
    ("main", "Main meter", "Cellar", ""),
    ("heat-pump", "Heat pump", "Cellar", "main"),
    ("workshop", "Workshop", "Yard", "main"),
)
# What the meters behind the main one take of a house's load, which is all that they measure.
SHARES = (0.45, 0.2)
TARIFF = """
[[tariffs]]
name = "home"
currency = "EUR"
import_price = 0.32
export_price = 0.08
meters = ["main"]
"""


class Load(SimulatedHouse):
    """A part of a house, without the panels on its roof."""

    def __init__(self, seed: int, share: float) -> None:
        self._share = share
        super().__init__(seed, 86_400)

    def _draw_phase(self, phase: int, step: int, dice: random.Random) -> _Phase:
        drawn = super()._draw_phase(phase, step, dice)
        return replace(drawn, power=round(max(drawn.power, BASE_W[0]) * self._share))


def main() -> None:
    """Start a house, open each page, write the pictures."""
    IMAGES.mkdir(exist_ok=True)
    ahead = min(14, max(-12, HOUR - datetime.now(UTC).hour))
    there = datetime.now(UTC) + timedelta(hours=ahead)
    sunrise = there.replace(hour=6, minute=0, second=0, microsecond=0)
    began = sunrise - timedelta(days=DAYS, hours=ahead)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        loads = [Load(number + 2, share) for number, share in enumerate(SHARES)]
        houses = [SimulatedHouse(1, 86_400), *loads]
        tables = [_table(stack, number, house, began) for number, house in enumerate(houses)]
        _remember(folder, houses, began)
        port = free_port()
        web = f'web.port = {port}\nweb.password = "{PASSWORD}"'
        config = configuration([*tables, TARIFF], mqtt_port=1, redis_url=redis.url, every=2)
        # The names of these zones say how far UTC is ahead of them.
        zone = f'timezone = "Etc/GMT{-ahead:+d}"'
        config = config.replace('timezone = "UTC"', zone)
        service = Service(folder, config.replace("web.port = 0", web))
        service.start()
        stack.callback(service.kill)
        await_page(port)
        eventually(lambda: "up as worker" in service.log, what=lambda: service.log)
        time.sleep(6)
        window = stack.enter_context(chromium(f"http://127.0.0.1:{port}/"))
        window.log_in(PASSWORD)
        _take(window, there)


def _take(window: Window, there: datetime) -> None:
    window.size(*DESKTOP)
    week = f"history?span=week&at={there.date() - timedelta(days=7)}"
    for name, path, most in (
        ("now", "", 1100),
        ("history", week, 1100),
        ("meter", "meters/main", 790),
    ):
        window.open(path)
        time.sleep(1)
        window.picture(IMAGES / f"{name}.png", most=most)
    window.media(prefers_color_scheme="dark")
    window.open()
    time.sleep(1)
    window.picture(IMAGES / "now-dark.png", most=1100)
    window.media(prefers_color_scheme="light")
    window.size(*PHONE, phone=True)
    window.open()
    time.sleep(1)
    window.picture(IMAGES / "now-phone.png", most=PHONE[1])


def _table(stack: ExitStack, number: int, house: SimulatedHouse, began: datetime) -> str:
    def dps() -> dict[str, int]:
        return house.dps((datetime.now(UTC) - began).total_seconds())

    device = SimulatedMeter(f"bfpicture{number:013d}", KEY, "3.4", dps)
    device.start()
    stack.callback(device.stop)
    name, label, area, upstream = METERS[number]
    said = {"name": name, "label": label, "area": area, "upstream": upstream}
    lines = [f'{key} = "{value}"' for key, value in said.items()]
    lines += [f'device_id = "bfpicture{number:013d}"', f"port = {device.port}"]
    lines += ['address = "127.0.0.1"', f'local_key = "{KEY}"', 'protocol = "3.4"']
    return "\n".join(["[[meters]]", *lines, 'profile = "owon_pc321"'])


def _remember(folder: Path, houses: list[SimulatedHouse], began: datetime) -> None:
    """Store what the meters measured in the days before."""
    state = folder / "data"
    state.mkdir(mode=0o700)
    database = Database(f"sqlite:///{state / 'esquirell.db'}")
    ensure_current(database)
    for (name, *_), house in zip(METERS, houses, strict=True):
        readings = list(_readings(name, house, began))
        keys = tuple(readings[-1].values)
        status = MeterStatus(0, None, readings[-1].measured_at, keys)
        Readings(database).add(readings, {name: status})
    database.close()


def _readings(name: str, house: SimulatedHouse, began: datetime) -> Iterator[Reading]:
    choices = Choices()
    meter = Meter(name=name, device_id="bf", local_key=KEY, profile="owon_pc321")
    for elapsed in range(0, int((datetime.now(UTC) - began).total_seconds()), STEP_S):
        yield Reading(
            name,
            began + timedelta(seconds=elapsed),
            choices.decode(meter, house.dps(elapsed)).values,
        )


if __name__ == "__main__":
    main()
