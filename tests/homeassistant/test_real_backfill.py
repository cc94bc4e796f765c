"""Backfills into a real Home Assistant, whose past is staged in its recorder's database.

It works its statistics up from there itself, as it does after any time that it was down.
HOME_ASSISTANT names the program that runs it; see support/home_assistant.py.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish
from support.cli import Said
from support.home_assistant import PROGRAM, HomeAssistant
from support.mosquitto import Mosquitto
from support.staged import BEGINS, ENERGY, POWER, Past, StagedHouse, hours_ago, power_at
from support.waiting import eventually

from esquirell.domain.long_term import HOUR
from esquirell.mqtt.topics import Topics

pytestmark = pytest.mark.skipif(not PROGRAM, reason="HOME_ASSISTANT names no program")

QUARTER = timedelta(minutes=15)
SENSORS = {ENERGY: "sensor.esquirell_main_energy_import", POWER: "sensor.esquirell_main_power"}
CLASSES = {
    ENERGY: {
        "device_class": "energy",
        "state_class": "total_increasing",
        "unit_of_measurement": "kWh",
    },
    POWER: {"device_class": "power", "state_class": "measurement", "unit_of_measurement": "W"},
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def met(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> HomeAssistant:
    """A Home Assistant that has met the meter, and was stopped."""
    folder = tmp_path_factory.mktemp("met")
    ha = HomeAssistant(folder)
    ha.start()
    try:
        ha.add_mqtt(broker.port)
        announce(broker.port)
        eventually(lambda: ha.state(SENSORS[POWER]) == "1.0", 30)
    finally:
        ha.stop()
    return ha


def announce(port: int) -> None:
    topics = Topics()
    sensors = {
        key: {
            "platform": "sensor",
            "unique_id": topics.meter_id("main", key),
            "default_entity_id": SENSORS[key],
            "value_template": f"{{{{ value_json.{key} }}}}",
            **CLASSES[key],
        }
        for key in SENSORS
    }
    payload = {
        "device": {"identifiers": ["esquirell_main"], "name": "esquirell main"},
        "origin": {"name": "esquirell"},
        "state_topic": topics.meter_state("main"),
        "components": sensors,
    }
    retain(port, topics.discovery("esquirell_main"), payload)
    say(port, dict.fromkeys(SENSORS, 1.0))


def say(port: int, values: Mapping[str, float]) -> None:
    """Publish what the meter shows."""
    retain(port, Topics().meter_state("main"), values)


def retain(port: int, topic: str, content: Mapping[str, object]) -> None:
    publish.single(topic, json.dumps(content), 1, retain=True, hostname="127.0.0.1", port=port)


@pytest.fixture
def house(met: HomeAssistant, tmp_path: Path) -> Iterator[StagedHouse]:
    ha = met.copy_to(tmp_path)
    house = StagedHouse(tmp_path, ha)
    yield house
    ha.stop()
    house.close()


class Shown:
    """What Home Assistant shows of the staged past, by the number of the hour."""

    def __init__(self, house: StagedHouse, past: Past) -> None:
        self._house = house
        self._past = past
        self.entities = dict(SENSORS)

    def wait(self) -> "Shown":
        """Wait until it has worked its statistics up."""
        eventually(lambda: self._past.hours - 1 in self.rows(ENERGY), 120)
        return self

    def rows(self, key: str) -> dict[int, dict[str, Any]]:
        name = self.entities[key]
        found = self._house.ha.call(
            "recorder/statistics_during_period",
            start_time="2020-01-01T00:00:00+00:00",
            statistic_ids=[name],
            period="hour",
            types=["state", "sum", "change", "mean", "min", "max"],
            units={"energy": "kWh", "power": "W"},
        )
        begin = self._past.start.timestamp()
        return {
            hour: {
                name: None if value is None else round(value, 4)
                for name, value in row.items()
                if name not in ("start", "end")
            }
            for row in found.get(name, ())
            # A test may last until the next hour.
            if (hour := round((row["start"] / 1000 - begin) / 3600)) < self._past.hours
        }

    @property
    def all(self) -> dict[str, dict[int, dict[str, Any]]]:
        return {key: self.rows(key) for key in SENSORS}

    @property
    def energy(self) -> dict[int, float]:
        return {hour: round(row["change"], 3) for hour, row in self.rows(ENERGY).items()}

    @property
    def power(self) -> dict[int, tuple[float, float, float]]:
        return {
            hour: (row["mean"], row["min"], row["max"]) for hour, row in self.rows(POWER).items()
        }


def hours_of(said: Said, key: str, kind: str, past: Past) -> dict[int, Any]:
    """Return what a backfill says of the hours of a sensor, by their numbers."""
    sensor = next(one for one in said.json["sensors"] if one["key"] == key)
    return {
        round((datetime.fromisoformat(hour["start"]) - past.start) / HOUR): hour
        for hour in sensor[kind]
    }


def fill(house: StagedHouse, *options: str) -> Said:
    """Look first, which changes nothing; then fill, and fill again, which changes nothing."""
    dry = house.backfill("--dry-run", *options)
    said = house.backfill(*options)
    assert (said.code, said.err) == (0, "")
    assert said.json == dry.json
    again = house.backfill(*options)
    assert again.json["hours"]["main"]["written"] == 0, again.out
    return said


def undo(house: StagedHouse) -> dict[str, Any]:
    said = house.undo()
    assert (said.code, said.err) == (0, "")
    undone: dict[str, Any] = said.json
    assert undone["left"] == 0
    assert undone["problems"] == []
    return undone


def test_home_assistant_was_down_for_four_hours(house: StagedHouse) -> None:
    past = Past(hours_ago(12), 12)
    house.store(past, past.during((0, 12)))
    house.ha_saw(past, past.during((0, 3.5), (7.5, 12)))
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    assert [shown.energy[hour] for hour in (4, 5, 6)] == [0, 0, 0]
    assert shown.power[5] == (800.0, 800.0, 800.0)
    said = fill(house)
    assert set(hours_of(said, ENERGY, "filled", past)) == {4, 5, 6}
    assert set(hours_of(said, POWER, "filled", past)) == {4, 5, 6, 7}
    # The hour in which it stopped is no hole; what it missed of it stands in the next.
    assert set(hours_of(said, ENERGY, "left", past)) == {3}
    missed = past.at_end(3) - before[ENERGY][3]["state"]
    assert shown.energy == {hour: past.used(hour) for hour in range(12)} | {
        3: before[ENERGY][3]["change"],
        4: round(past.used(4) + missed, 3),
    }
    assert {hour: shown.power[hour] for hour in range(4, 12)} == {
        hour: past.power(hour) for hour in range(4, 12)
    }
    assert undo(house)["restored"] == 7
    assert shown.all == before


def test_a_stop_of_five_hours_as_it_is_lived_through(broker: Mosquitto, house: StagedHouse) -> None:
    """Not staged: it is stopped, its database made older, and it is started again."""
    past = Past(hours_ago(9), 9)
    house.store(past, past.during((0, 9)))
    now = datetime.now(UTC)
    for ago in (7, 2):
        moment = (now - ago * HOUR).replace(second=0, microsecond=0)
        say(broker.port, {ENERGY: past.energy[moment], POWER: power_at(moment)})
        house.ha.start()
        eventually(lambda: house.ha.state(SENSORS[ENERGY]) == str(past.energy[moment]))  # noqa: B023
        house.ha.stop()
        house.ha.age((5 if ago == 7 else 2) * 3600)
    house.ha.start()
    shown = Shown(house, past).wait()
    first, last = ((now - ago * HOUR - past.start) // HOUR for ago in (7, 2))
    standing = range(first + 1, last)
    assert [shown.energy[hour] for hour in standing] == [0.0] * len(standing)
    said = house.backfill()
    # Those before it knew the meter, and those in which it was stopped.
    filled = {*range(first), *standing}
    assert set(hours_of(said, ENERGY, "filled", past)) == filled
    assert {hour: shown.energy[hour] for hour in standing[1:]} == {
        hour: past.used(hour) for hour in standing[1:]
    }
    assert {hour: shown.power[hour] for hour in standing} == {
        hour: past.power(hour) for hour in standing
    }
    assert sum(shown.energy.values()) == pytest.approx(past.energy[moment] - BEGINS, abs=0.1)


def test_the_broker_was_down_so_that_hours_are_missing(house: StagedHouse) -> None:
    past = Past(hours_ago(12), 12)
    house.store(past, past.during((0, 12)))
    house.ha_saw(past, past.during((0, 4), (8, 12)), unavailable=3.995)
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    assert not {4, 5, 6, 7} & set(before[ENERGY])
    said = fill(house)
    assert said.json["hours"]["main"] == {"written": 4, "left": 0}
    assert shown.energy == {hour: past.used(hour) for hour in range(12)}
    assert shown.power == {hour: past.power(hour) for hour in range(12)}
    assert undo(house)["removed"] == 8
    assert shown.all == before


def test_the_service_was_down_so_that_nobody_measured(house: StagedHouse) -> None:
    past = Past(hours_ago(12), 12)
    house.store(past, past.during((0, 4), (8, 12)))
    house.ha_saw(past, past.during((0, 4), (8, 12)), unavailable=3.995)
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    said = house.backfill()
    assert said.json["hours"]["main"]["written"] == 0
    left = hours_of(said, ENERGY, "left", past)
    assert {left[hour]["reason"] for hour in (4, 5, 6, 7)} == {"estimated"}
    assert shown.all == before
    assert house.undo().json is None


def test_both_were_down_one_after_the_other(house: StagedHouse) -> None:
    past = Past(hours_ago(14), 14)
    house.store(past, past.during((0, 6), (8, 14)))
    house.ha_saw(past, past.during((0, 4), (10, 14)))
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    said = fill(house)
    assert set(hours_of(said, ENERGY, "filled", past)) == {4, 5, 8, 9}
    left = hours_of(said, ENERGY, "left", past)
    assert {hour: left[hour]["reason"] for hour in (6, 7)} == dict.fromkeys((6, 7), "estimated")
    gap = past.used(6) + past.used(7)
    assert shown.energy == {hour: past.used(hour) for hour in range(14)} | {
        6: 0.0,
        7: 0.0,
        8: round(past.used(8) + gap, 3),
    }
    undo(house)
    assert shown.all == before


def test_a_year_from_before_it_knew_the_meter(house: StagedHouse) -> None:
    past = Past(hours_ago(8760), 8760, QUARTER)
    house.store(past, past.during((0, 8760)))
    known = 8748
    house.ha_saw(past, past.during((known + 0.5, 8760)))
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    assert min(before[ENERGY]) == known
    said = fill(house)
    assert said.json["hours"]["main"]["written"] == 8749
    energy = shown.energy
    assert {hour: energy[hour] for hour in range(1, 8760)} == {
        hour: past.used(hour) for hour in range(1, 8760)
    }
    # What the sum of the first hour is, Home Assistant shows as its energy.
    assert 0 <= energy[0] <= past.used(1)
    assert shown.power[4000] == past.power(4000)
    assert undo(house)["removed"] == 2 * known
    assert shown.all == before


def test_a_killed_backfill_is_completed_by_the_next(house: StagedHouse) -> None:
    past = Past(hours_ago(4380), 4380, QUARTER)
    house.store(past, past.during((0, 4380)))
    house.ha_saw(past, past.during((4370, 4380)))
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    command = [sys.executable, "-m", "esquirell", "--config", str(house.config), "ha", "backfill"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    eventually(lambda: len(shown.rows(ENERGY)) > 100)
    process.kill()
    process.wait()
    assert len(shown.rows(ENERGY)) < 4380
    # At no time does an hour show what nobody used, as all of it stands in the first one.
    assert min(shown.energy.values()) >= 0
    assert house.backfill().code == 0
    energy = shown.energy
    assert {hour: energy[hour] for hour in range(1, 4380)} == {
        hour: past.used(hour) for hour in range(1, 4380)
    }
    undo(house)
    undo(house)
    assert shown.all == before
    assert house.undo().json is None


def test_a_renamed_entity_is_found(house: StagedHouse) -> None:
    past = Past(hours_ago(8), 8)
    house.store(past, past.during((0, 8)))
    house.ha_saw(past, past.during((0, 3), (6, 8)))
    house.ha.start()
    shown = Shown(house, past).wait()
    shown.entities[ENERGY] = "sensor.the_cellar"
    house.ha.call(
        "config/entity_registry/update",
        entity_id=SENSORS[ENERGY],
        new_entity_id=shown.entities[ENERGY],
    )
    eventually(lambda: 7 in shown.rows(ENERGY))
    fill(house)
    assert shown.energy == {hour: past.used(hour) for hour in range(8)}


def test_a_statistic_that_is_kept_in_megawatt_hours_stays_so(house: StagedHouse) -> None:
    past = Past(hours_ago(8), 8)
    house.store(past, past.during((0, 8)))
    house.ha_saw(past, past.during((0, 3), (6, 8)))
    house.ha.start()
    shown = Shown(house, past).wait()
    house.ha.call(
        "recorder/change_statistics_unit",
        statistic_id=SENSORS[ENERGY],
        old_unit_of_measurement="kWh",
        new_unit_of_measurement="MWh",
    )
    described = eventually(lambda: kept_in(house, "MWh"))
    before = shown.all
    fill(house)
    assert kept_in(house, "MWh") == described
    assert shown.energy == {hour: past.used(hour) for hour in range(8)}
    undo(house)
    assert shown.all == before


def kept_in(house: StagedHouse, unit: str) -> dict[str, Any] | None:
    found: dict[str, Any]
    (found,) = house.ha.call("recorder/get_statistics_metadata", statistic_ids=[SENSORS[ENERGY]])
    return found if found["statistics_unit_of_measurement"] == unit else None


def test_an_hour_that_somebody_corrected_is_left_alone(house: StagedHouse) -> None:
    past = Past(hours_ago(12), 12)
    house.store(past, past.during((0, 12)))
    house.ha_saw(past, past.during((0, 3), (7, 12)))
    house.ha.start()
    shown = Shown(house, past).wait()
    for hour, amount in ((4, 0.123), (9, -0.5)):
        house.ha.call(
            "recorder/adjust_sum_statistics",
            statistic_id=SENSORS[ENERGY],
            start_time=(past.start + hour * HOUR).isoformat(),
            adjustment=amount,
            adjustment_unit_of_measurement="kWh",
        )
    corrected = round(past.used(9) - 0.5, 3)
    eventually(lambda: shown.energy[9] == corrected)
    before = shown.all
    said = fill(house)
    left = hours_of(said, ENERGY, "left", past)
    assert (left[4]["reason"], left[9]["reason"]) == ("corrected", "differs")
    energy = shown.energy
    assert (energy[4], energy[9]) == (0.123, corrected)
    assert {hour: energy[hour] for hour in (3, 5, 6)} == {
        hour: past.used(hour) for hour in (3, 5, 6)
    }
    undo(house)
    assert shown.all == before


def test_only_an_administrator_may_write(house: StagedHouse) -> None:
    past = Past(hours_ago(8), 8)
    house.store(past, past.during((0, 8)))
    house.ha_saw(past, past.during((0, 3), (6, 8)))
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    house.token.write_text(house.ha.token_of_a_child())
    said = house.backfill()
    assert said.code == 2
    assert "administrator" in said.sentence
    assert house.backfill("--dry-run").json["hours"]["main"]["written"] == 3
    house.token.write_text("no token")
    assert "refuses this token" in house.backfill().sentence
    assert shown.all == before
