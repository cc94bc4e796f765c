"""What a house costs a real Home Assistant: rows of its recorder, entries of its Activity, its log.

HOME_ASSISTANT names the programs that run it, see support/home_assistant.py. A minute shows the
proportions; for the figures of docs/explanation/cost.md RECORDER_SECONDS makes it longer, and
RECORDER_FIGURES names a file that they are written to.
"""

import os
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.home_assistant import PROGRAMS, HomeAssistant
from support.mosquitto import Mosquitto
from support.service import KEY, Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="HOME_ASSISTANT names no program")

FIGURES = os.environ.get("RECORDER_FIGURES")
SECONDS = float(os.environ.get("RECORDER_SECONDS", "60"))
DAY_S = 86_400
# Polled each minute; reporting each second; the same with publish_every = 10.
PACES = {
    "polled": "push = false",
    "reporting": "publish_every = 0",
    "thinned": "publish_every = 10",
}
KINDS = {"pc321": "owon_pc321", "plug": "plug"}
# Of each entity that has statistics: one each five minutes, one each hour.
STATISTICS = DAY_S // 300 + DAY_S // 3600


class Load:
    """What a meter measures: a little more or less each second, as in a real house."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._began = time.monotonic()

    def pc321(self) -> dict[str, object]:
        phases = [self._phase(mean) for mean in (500, 510, 520)]
        dps: dict[str, object] = {
            str(101 + 10 * number + index): value
            for number, phase in enumerate(phases)
            for index, value in enumerate(phase)
        }
        amperes, watts, bought = (sum(phase[index] for phase in phases) for index in (1, 2, 5))
        total = {"131": bought, "132": amperes, "133": watts, "134": 0, "135": 50, "136": 251}
        return dps | total | {"137": 0, "138": 1, "139": 36}

    def _phase(self, mean: int) -> tuple[int, ...]:
        """Return V, I, P, PF, Q, import and export of a phase as the device sends them."""
        power = mean + self._dice.randint(-8, 8)
        volts = 2310 + self._dice.randint(-6, 6)
        milliamperes = round(power / (volts / 10 * 0.93) * 1000)
        factor = 93 + self._dice.randint(-1, 1)
        return volts, milliamperes, power, factor, 0, 106_421 + self._wh(mean) // 10, 12

    def plug(self) -> dict[str, object]:
        power = 600 + self._dice.randint(-9, 9)
        volts = 2305 + self._dice.randint(-6, 6)
        milliamperes = round(power / 10 / (volts / 10) * 1000)
        return {"1": True, "18": milliamperes, "19": power, "20": volts}

    def _wh(self, watts: float) -> int:
        return int(watts * (time.monotonic() - self._began) / 3600)


@dataclass(frozen=True, slots=True)
class Home:
    """A Home Assistant to which a service shows six meters; their entities by unique id."""

    ha: HomeAssistant
    entities: Mapping[str, str]

    def of(self, meter: str) -> list[str]:
        return [entity for uid, entity in self.entities.items() if f"_{meter}_" in uid]

    def rows(self, since: float) -> Counter[str]:
        """Count the states that were recorded since a moment, by entity."""
        query = (
            "SELECT states_meta.entity_id, count(*) FROM states "
            "JOIN states_meta USING (metadata_id) WHERE last_updated_ts > ? GROUP BY metadata_id"
        )
        return Counter(dict(self._ask(query, since)))

    def attributes(self) -> dict[str, int]:
        """Count the different sets of attributes that were recorded, by entity."""
        query = (
            "SELECT states_meta.entity_id, count(DISTINCT attributes_id) FROM states "
            "JOIN states_meta USING (metadata_id) WHERE state NOT IN ('unavailable', 'unknown') "
            "GROUP BY metadata_id"
        )
        return dict(self._ask(query))

    def with_statistics(self) -> set[str]:
        """Return the entities of which statistics are kept."""
        return {one["statistic_id"] for one in self.ha.call("recorder/list_statistic_ids")}

    def activity(self, since: float) -> list[Any]:
        """Return what the page Activity shows of all entities since a moment."""
        start = datetime.fromtimestamp(since, UTC).isoformat()
        return list(self.ha.call("logbook/get_events", start_time=start))

    def _ask(self, query: str, *values: object) -> list[tuple[str, int]]:
        with closing(sqlite3.connect(f"file:{self.ha.database}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()


@pytest.fixture(params=PROGRAMS or [""])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    with ExitStack() as stack:
        broker = Mosquitto(tmp_path)
        broker.start()
        stack.callback(broker.stop)
        tables = [table(stack, kind, pace) for kind in KINDS for pace in PACES]
        config = configuration(tables, mqtt_port=broker.port, every=60)
        service = Service(tmp_path, config)
        service.start()
        stack.callback(service.kill)
        ha = HomeAssistant(request.param, tmp_path, "Europe/Warsaw")
        stack.callback(ha.stop)
        ha.start()
        ha.add_mqtt(broker.port)
        eventually(lambda: len(entities_of(ha)) > 80, what=lambda: service.log)
        yield Home(ha, entities_of(ha))


def table(stack: ExitStack, kind: str, pace: str) -> str:
    """Start a meter; return its table of the configuration."""
    measure = getattr(Load(len(pace)), kind)
    report_s = 0 if pace == "polled" else 1
    name = f"{kind}-{pace}"
    device = SimulatedMeter(f"id-{name}", KEY, "3.4", measure, report_s=report_s)
    device.start()
    stack.callback(device.stop)
    text = meter_table(name, device.port).replace("owon_pc321", KINDS[kind])
    return f"{text}\n{PACES[pace]}"


def entities_of(ha: HomeAssistant) -> dict[str, str]:
    """Return the enabled entities of ours, by unique id."""
    return {
        unique_id: entity["entity_id"]
        for unique_id, entity in ha.registered().items()
        if not entity["disabled_by"]
    }


def test_a_meter_that_reports_costs_little(home: Home) -> None:
    # What is found at first, names and states, is no habit.
    eventually(lambda: home.rows(0.0)[power_of(home, "plug-thinned")] > 2)
    since = time.time()
    threading.Event().wait(SECONDS)
    rows, activity = home.rows(since), home.activity(since)
    per_day = DAY_S / (time.time() - since)
    totals = {
        name: sum(rows[entity] for entity in home.of(name)) * per_day
        for name in (f"{kind}-{pace}" for kind in KINDS for pace in PACES)
    }
    if FIGURES:
        Path(FIGURES).write_text(figures(home, totals))
    for kind in KINDS:
        polled, reporting, thinned = (totals[f"{kind}-{pace}"] for pace in PACES)
        # A tenth; in a minute one period more or less counts, and so does a machine that is slow.
        assert thinned < reporting / 5
        assert polled < thinned
    ours = set(home.entities.values())
    assert [entry for entry in activity if entry.get("entity_id") in ours] == []
    assert {
        name: count for name, count in home.attributes().items() if name in ours and count > 1
    } == {}
    assert home.ha.complaints() == []


def power_of(home: Home, meter: str) -> str:
    return home.entities[f"esquirell_{meter}_active_power"]


def figures(home: Home, totals: Mapping[str, float]) -> str:
    """Write what a day takes, a meter each line."""
    counted = home.with_statistics()
    lines = [f"{'rows a day':16} {'states':>8} {'statistics':>11} {'entities':>9}"]
    for name, states in totals.items():
        ours = home.of(name)
        statistics = len(counted & set(ours)) * STATISTICS
        lines.append(f"{name:16} {states:8.0f} {statistics:11} {len(ours):9}")
    return "\n".join(lines) + "\n"
