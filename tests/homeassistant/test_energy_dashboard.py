"""The Energy dashboard before and after a backfill, looked at in a real Chromium.

HOME_ASSISTANT names the program that runs Home Assistant. With PICTURES=FOLDER the pictures of the
documentation are written there.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.home_assistant import PROGRAMS, HomeAssistant
from support.mosquitto import Mosquitto
from support.mqtt_parts import House, bridge_in, info_of, meter, run_until
from support.staged import ENERGY, POWER, StagedHistory, StagedHouse, hours_ago
from support.waiting import eventually

from esquirell.domain.reading import Reading
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

if TYPE_CHECKING:
    from support.browser import Window

pytest.importorskip("selenium", reason="make browser installs what steers Chromium")
pytestmark = pytest.mark.skipif(
    not (PROGRAMS and shutil.which("chromedriver")),
    reason="HOME_ASSISTANT names no program, or there is no chromedriver",
)

PICTURES = os.environ.get("PICTURES")
METERS = {"main": ("Main meter", 1.0), "heat-pump": ("Heat pump", 0.4)}
HOURS, DOWN, BACK = 48, 33.5, 39.5
SIZE = (1000, 700)
# Shadow roots keep what is in them from selectors.
DEEP = """
function deep(root, selector, found = []) {
  for (const one of root.querySelectorAll('*')) {
    if (one.matches(selector)) found.push(one);
    if (one.shadowRoot) deep(one.shadowRoot, selector, found);
  }
  return found;
}
"""


@dataclass(frozen=True, slots=True)
class Home:
    """A house whose Home Assistant was down for six hours, with the entities of its meters."""

    files: StagedHouse
    histories: dict[str, StagedHistory]
    entities: dict[tuple[str, str], str]

    def energies(self, name: str) -> dict[int, float]:
        entity = self.entities[name, ENERGY]
        history = self.histories[name]
        found = self.files.ha.call(
            "recorder/statistics_during_period",
            start_time=history.start.isoformat(),
            statistic_ids=[entity],
            period="hour",
            types=["change"],
        )
        start = history.start.timestamp()
        return {
            round((row["start"] / 1000 - start) / 3600): round(row["change"], 3)
            for row in found.get(entity, ())
        }


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    broker = Mosquitto(tmp_path)
    broker.start()
    ha = HomeAssistant(PROGRAMS[0], tmp_path, "Europe/Warsaw")
    world = House()
    world.meters = [
        replace(info_of(name), meter=meter(name, label=label))
        for name, (label, _) in METERS.items()
    ]
    stop = threading.Event()
    files = None
    try:
        with bridge_in(world, broker.port) as (bridge, connection):
            publisher = MqttPublisher(connection, Topics(), lambda _: 0, world.clock)
            for info in world.meters:
                values = dict.fromkeys(info.keys, 1.0)
                publisher.reading(Reading(info.meter.name, world.now, values), info.keys)
            turning = threading.Thread(target=run_until, args=(bridge, stop))
            turning.start()
            try:
                ha.start()
                ha.add_mqtt(broker.port)
                entities = eventually(lambda: entities_of(ha))
                eventually(lambda: ha.state(entities["main", POWER]) == "1.0")
                ha.stop()
                files = StagedHouse(tmp_path, ha, "Europe/Warsaw", tuple(METERS))
                histories = staged(files, entities)
                ha.start()
                found = Home(files, histories, entities)
                eventually(lambda: HOURS - 1 in found.energies("heat-pump"), 120)
                yield found
            finally:
                stop.set()
                turning.join()
    finally:
        ha.stop()
        broker.kill()
        if files:
            files.close()


def entities_of(ha: HomeAssistant) -> dict[tuple[str, str], str]:
    registered = ha.registered()
    wanted = {
        (name, key): Topics().meter_id(name, key) for name in METERS for key in (ENERGY, POWER)
    }
    known = {
        pair: str(registered[unique_id]["entity_id"])
        for pair, unique_id in wanted.items()
        if unique_id in registered
    }
    return known if len(known) == len(wanted) else {}


def staged(files: StagedHouse, entities: dict[tuple[str, str], str]) -> dict[str, StagedHistory]:
    histories = {}
    states = {}
    for name, (_, share) in METERS.items():
        history = StagedHistory(hours_ago(HOURS), HOURS, meter=name, share=share)
        files.store(history, history.during((0, HOURS)))
        seen = list(history.during((0, DOWN), (BACK, HOURS)))
        states[entities[name, ENERGY]] = [(moment, f"{history.energy[moment]}") for moment in seen]
        states[entities[name, POWER]] = [(moment, f"{history.power_at(moment)}") for moment in seen]
        histories[name] = history
    files.ha.remember(states)
    return histories


def test_the_hours_of_an_outage_are_filled(home: Home) -> None:
    from support.browser import chromium  # noqa: PLC0415 - selenium may not be there

    ha = home.files.ha
    ha.call("energy/save_prefs", **preferences(home.entities))
    with chromium(f"{ha.url}/") as window:
        log_in(window, ha)
        missed = range(34, 39)
        for name in METERS:
            energies = home.energies(name)
            assert [energies[hour] for hour in missed] == [0.0] * 5
        look(window, "energy/electricity", "energy-outage-before")
        said = home.files.backfill()
        assert (said.code, said.err) == (0, "")
        for name, history in home.histories.items():
            energies = home.energies(name)
            assert {hour: energies[hour] for hour in missed[1:]} == {
                hour: history.used(hour) for hour in missed[1:]
            }
        look(window, "energy/electricity", "energy-outage-after")
        look(window, "config/energy", "energy-settings")
        edit = "deep(document, 'ha-icon-button').find(one => /Edit grid/.test(one.label)).click()"
        window.script(DEEP + edit)
        take(window, "energy-grid")
    issues = ha.call("energy/validate")
    assert not any(issues["energy_sources"] + issues["device_consumption"])


def preferences(entities: dict[tuple[str, str], str]) -> dict[str, Any]:
    """Return what a person sets up under Settings, Dashboards, Energy."""
    nothing = (
        *("stat_energy_to", "stat_cost", "stat_compensation", "entity_energy_price"),
        *("number_energy_price", "entity_energy_price_export", "number_energy_price_export"),
    )
    grid = {
        "type": "grid",
        "stat_energy_from": entities["main", ENERGY],
        "stat_rate": entities["main", POWER],
        "cost_adjustment_day": 0,
    }
    device = {
        "stat_consumption": entities["heat-pump", ENERGY],
        "stat_rate": entities["heat-pump", POWER],
    }
    return {
        "energy_sources": [dict.fromkeys(nothing) | grid],
        "device_consumption": [device],
    }


def log_in(window: "Window", ha: HomeAssistant) -> None:
    """Log in as the page itself would have kept it."""
    window.open("manifest.json")
    tokens = {
        "access_token": ha.token,
        "token_type": "Bearer",
        "expires_in": 1800,
        "hassUrl": ha.url,
        "clientId": f"{ha.url}/",
        "expires": int((time.time() + 86_400) * 1000),
        "refresh_token": "none",
    }
    window.script("localStorage.setItem('hassTokens', arguments[0])", json.dumps(tokens))
    # The menu at the side is not what the pictures are about.
    window.script("localStorage.setItem('dockedSidebar', '\"always_hidden\"')")
    window.size(*SIZE)


def look(window: "Window", path: str, name: str) -> None:
    """Open a page; for a picture as often as it takes until its diagrams fill their places."""
    window.open(path)
    eventually(lambda: count(window, "ha-card") > 0, what=path)
    if PICTURES:
        eventually(lambda: is_laid_out(window, path), what=f"{path} was not laid out")
        take(window, name)


def is_laid_out(window: "Window", path: str) -> bool:
    window.open(path)
    time.sleep(4)
    narrow = "deep(document, 'canvas').filter(one => one.clientWidth < 300).length"
    return not window.script(f"{DEEP} return {narrow}")


def count(window: "Window", selector: str) -> int:
    return int(window.script(f"{DEEP} return deep(document, arguments[0]).length", selector))


def take(window: "Window", name: str) -> None:
    if PICTURES:
        time.sleep(2)
        window.picture(Path(PICTURES) / f"{name}.png", most=SIZE[1])
