"""Backfills into a real Home Assistant, whose past is staged in its recorder's database.

It works its statistics up from there itself, as it does after any time that it was down.
HOME_ASSISTANT names the program that runs it; see support/home_assistant.py.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish
from support.cli import Said, esquirell
from support.home_assistant import PROGRAMS, HomeAssistant
from support.mosquitto import Mosquitto
from support.staged import BEGINS, ENERGY, POWER, PRICE, Past, StagedHouse, hours_ago, power_at
from support.waiting import eventually

from esquirell.domain.errors import HomeAssistantError
from esquirell.domain.long_term import HOUR, KeptStatistic, Row
from esquirell.domain.reading import iso
from esquirell.homeassistant.statistics import LongTermStatistics
from esquirell.mqtt.topics import Topics

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="HOME_ASSISTANT names no program")

QUARTER = timedelta(minutes=15)
COST = "cost_today"
UNITS = {ENERGY: "kWh", COST: "PLN"}
CLASSES = {
    ENERGY: {
        "device_class": "energy",
        "state_class": "total_increasing",
        "unit_of_measurement": "kWh",
    },
    POWER: {"device_class": "power", "state_class": "measurement", "unit_of_measurement": "W"},
    COST: {
        "device_class": "monetary",
        "state_class": "total",
        "unit_of_measurement": "PLN",
        "last_reset_value_template": "2026-11-29T00:00:00+00:00",
    },
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module", params=PROGRAMS or [""])
def met(
    broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> HomeAssistant:
    """A Home Assistant that has met the meter, and was stopped."""
    folder = tmp_path_factory.mktemp("met")
    ha = HomeAssistant(request.param, folder, "Europe/Warsaw")
    ha.start()
    try:
        ha.add_mqtt(broker.port)
        announce(broker.port)
        eventually(lambda: len(entities_of(ha)) == len(CLASSES), 30)
        # Older releases give them names of their own.
        ha.entities = entities_of(ha)
        wait_for_states(ha)
    finally:
        ha.stop()
    return ha


def announce(port: int) -> None:
    topics = Topics()
    sensors = {
        key: {
            "platform": "sensor",
            "unique_id": topics.meter_id("main", key),
            "value_template": f"{{{{ value_json.{key} }}}}",
            **CLASSES[key],
        }
        for key in CLASSES
    }
    payload = {
        "device": {"identifiers": ["esquirell_main"], "name": "esquirell main"},
        "origin": {"name": "esquirell"},
        "state_topic": topics.meter_state("main"),
        "components": sensors,
    }
    retain(port, topics.discovery("esquirell_main"), payload)
    say(port, dict.fromkeys(CLASSES, 1.0))


def entities_of(ha: HomeAssistant) -> dict[str, str]:
    """Return the ids of the entities by the keys of their quantities."""
    found = ha.call("config/entity_registry/list")
    ids = {one["unique_id"]: one["entity_id"] for one in found}
    known = {key: ids.get(Topics().meter_id("main", key)) for key in CLASSES}
    return {key: entity for key, entity in known.items() if entity}


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


Rows = dict[str, dict[int, dict[str, Any]]]


class Shown:
    """What Home Assistant shows of the staged past, by the number of the hour."""

    def __init__(self, house: StagedHouse, past: Past) -> None:
        self._house = house
        self._past = past
        self.entities = dict(house.ha.entities)

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
    def all(self) -> Rows:
        return {key: self.rows(key) for key in (ENERGY, POWER)}

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


def undo(house: StagedHouse, shown: "Shown", before: Rows) -> dict[str, Any]:
    """Undo, and see that all is as before; older releases can't remove what was added."""
    added = any(shown.rows(key).keys() - before[key].keys() for key in before)
    said = house.undo()
    if added and not clears_spans(house.ha):
        assert said.code == 1
        assert "can only delete a whole statistic" in said.sentence
        pytest.skip("this release keeps the hours that were added")
    assert (said.code, said.err) == (0, "")
    undone: dict[str, Any] = said.json
    assert undone["left"] == 0
    assert undone["problems"] == []
    assert {key: shown.rows(key) for key in before} == before
    return undone


def clears_spans(ha: HomeAssistant) -> bool:
    """Return whether single hours can be removed; asked for none of all statistics."""
    span = {"start_time": "2026-01-01T00:00:00+00:00", "end_time": "2026-01-01T01:00:00+00:00"}
    try:
        ha.call("recorder/clear_statistics", statistic_ids=[], **span)
    except HomeAssistantError as error:
        return error.reason != "invalid_format"
    return True


def test_the_same_series_is_the_same_energy(house: StagedHouse) -> None:
    """Home Assistant counts a change in the hour that brings it, we spread it since the last one.

    So an hour may differ by what was used within a minute of its border, and the whole by nothing.
    """
    past = Past(hours_ago(12), 12)
    house.store(past, past.during((0, 12)))
    house.ha_saw(past, past.during((0, 12)))
    house.ha.start()
    shown = Shown(house, past).wait()
    asked = ("readings", "main", "--resolution", "hour", "--quantity", ENERGY, "--json")
    config = ("--config", str(house.config))
    found = esquirell(*config, *asked, "--since", past.start.isoformat()).json
    ours = [hour[ENERGY] for hour in found if hour["start"] < iso(past.start + 12 * HOUR)]
    whole = past.at_end(11) - BEGINS
    assert sum(ours) == pytest.approx(whole)
    assert sum(shown.energy.values()) == pytest.approx(whole)
    in_a_minute = max(map(power_at, past.energy)) / 1000 / 60
    for hour, kwh in shown.energy.items():
        assert ours[hour] == pytest.approx(kwh, abs=in_a_minute + 0.001)


def test_home_assistant_was_down_for_four_hours(house: StagedHouse) -> None:
    past = Past(hours_ago(12), 12)
    house.store(past, past.during((0, 12)))
    house.ha_saw(past, past.during((0, 3.5), (7.5, 12)))
    house.ha.start()
    shown = Shown(house, past).wait()
    before = shown.all
    assert [shown.energy[hour] for hour in (4, 5, 6)] == [0, 0, 0]
    mean, least, most = shown.power[5]
    assert mean == least == most
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
    assert {hour: shown.power[hour] for hour in (4, 5, 6, 7)} == {
        hour: past.power(hour) for hour in (4, 5, 6, 7)
    }
    assert undo(house, shown, before)["restored"] == 7


def test_a_stop_of_five_hours_as_it_is_lived_through(broker: Mosquitto, house: StagedHouse) -> None:
    """Not staged: it is stopped, its database made older, and it is started again."""
    past = Past(hours_ago(9), 9)
    house.store(past, past.during((0, 9)))
    now = datetime.now(UTC)
    for ago in (7, 2):
        moment = (now - ago * HOUR).replace(second=0, microsecond=0)
        say(broker.port, {ENERGY: past.energy[moment], POWER: power_at(moment), COST: 1.0})
        house.ha.start()
        eventually(lambda: house.ha.state(house.ha.entities[ENERGY]) == str(past.energy[moment]))  # noqa: B023
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
    assert {hour: shown.power[hour] for hour in (4, 5, 6, 7)} == {
        hour: past.power(hour) for hour in (4, 5, 6, 7)
    }
    assert undo(house, shown, before)["removed"] == 8


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
    house.store(past, past.during((0, 6.01), (8, 14)))
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
    undo(house, shown, before)


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
    # If less was drawn in the hour after, its maximum is what was drawn before.
    falls = past.power(known)[2] > past.power(known + 1)[2]
    assert said.json["hours"]["main"]["written"] == known + 1 + falls
    energy = shown.energy
    assert {hour: energy[hour] for hour in range(1, 8760)} == {
        hour: past.used(hour) for hour in range(1, 8760)
    }
    # What the sum of the first hour is, Home Assistant shows as its energy.
    assert 0 <= energy[0] <= past.used(1)
    assert shown.power[4000] == past.power(4000)
    assert undo(house, shown, before)["removed"] == 2 * known


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
    if clears_spans(house.ha):
        house.undo()  # what the second did
    undo(house, shown, before)
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
        entity_id=house.ha.entities[ENERGY],
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
        statistic_id=house.ha.entities[ENERGY],
        old_unit_of_measurement="kWh",
        new_unit_of_measurement="MWh",
    )
    described = eventually(lambda: kept_in(house, "MWh"))
    before = shown.all
    fill(house)
    assert kept_in(house, "MWh") == described
    assert shown.energy == {hour: past.used(hour) for hour in range(8)}
    undo(house, shown, before)


def kept_in(house: StagedHouse, unit: str) -> dict[str, Any] | None:
    found: dict[str, Any]
    (found,) = house.ha.call(
        "recorder/get_statistics_metadata", statistic_ids=[house.ha.entities[ENERGY]]
    )
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
            statistic_id=house.ha.entities[ENERGY],
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
    undo(house, shown, before)


def test_costs_over_two_midnights_and_the_end_of_summer_time(
    met: HomeAssistant, tmp_path: Path
) -> None:
    """In Warsaw the 25th of October 2026 has 25 hours; Home Assistant missed its first nine."""
    ha = met.copy_to(tmp_path)
    house = StagedHouse(tmp_path, ha, "Europe/Warsaw")
    past = Past(datetime(2026, 10, 24, tzinfo=UTC), 72)
    house.store(past, past.during((0, 72)))
    midnights = (-2, 22, 47)
    missed = range(18, 31)
    ha.start()
    try:
        wait_for_states(ha)
        import_hours(ha, ENERGY, energy_as_seen(past, missed))
        import_hours(ha, COST, cost_as_seen(past, missed, midnights))
        shown = Shown(house, past)
        eventually(lambda: 71 in shown.rows(COST))
        before = {key: shown.rows(key) for key in (ENERGY, COST)}
        said = fill(house)
        assert set(hours_of(said, COST, "filled", past)) == set(missed)
        assert {hour: shown.energy[hour] for hour in missed} == {
            hour: past.used(hour) for hour in missed
        }
        spent = {hour: row["change"] for hour, row in shown.rows(COST).items()}
        assert [spent[hour] for hour in missed] == [
            pytest.approx(PRICE * past.used(hour), abs=0.03) for hour in missed
        ]
        # A day of 25 hours in Warsaw, as Home Assistant itself adds it up.
        assert day_in(ha, ha.entities[ENERGY], "2026-10-25") == pytest.approx(
            past.at_end(46) - past.at_end(21), abs=0.001
        )
        assert day_in(ha, ha.entities[COST], "2026-10-25") == pytest.approx(
            PRICE * (past.at_end(46) - past.at_end(21)), abs=0.1
        )
        undo(house, shown, before)
    finally:
        ha.stop()
        house.close()


def energy_as_seen(past: Past, missed: Collection[int]) -> Iterator[Row]:
    seen = BEGINS
    for hour in range(past.hours):
        seen = seen if hour in missed else past.at_end(hour)
        yield Row(past.start + hour * HOUR, seen, seen - BEGINS)


def cost_as_seen(past: Past, missed: Collection[int], midnights: Sequence[int]) -> Iterator[Row]:
    """Yield hours of a cost that starts again at midnight, of which the end was not always seen."""
    total, state, reset = 0.0, 0.0, midnights[0]
    for hour in range(past.hours):
        if hour not in missed:
            begun = max(one for one in midnights if one <= hour)
            new = PRICE * (past.at_end(hour) - past.at_end(begun - 1))
            total += new - (state if begun == reset else 0.0)
            state, reset = new, begun
        start, last_reset = (past.start + number * HOUR for number in (hour, reset))
        yield Row(start, state, total, last_reset)


def import_hours(ha: HomeAssistant, key: str, rows: Iterable[Row]) -> None:
    unique_id = Topics().meter_id("main", key)
    with ha.connection() as connection:
        statistics = LongTermStatistics(connection)
        kept = statistics.find({unique_id: UNITS[key]})[unique_id]
        assert isinstance(kept, KeptStatistic)
        statistics.write(kept, list(rows))


def wait_for_states(ha: HomeAssistant) -> None:
    none = {None, "unknown", "unavailable"}
    eventually(lambda: not none & {ha.state(entity) for entity in ha.entities.values()})


def day_in(ha: HomeAssistant, entity: str, day: str) -> float:
    found = ha.call(
        "recorder/statistics_during_period",
        start_time=f"{day}T12:00:00+00:00",
        end_time=f"{day}T13:00:00+00:00",
        statistic_ids=[entity],
        period="day",
        types=["change"],
    )
    return float(found[entity][0]["change"])


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
    # Whether the power of the hour of return is off, too, depends on what was drawn then.
    said = house.backfill("--dry-run")
    assert set(hours_of(said, ENERGY, "filled", past)) == {3, 4, 5}
    house.token.write_text("no token")
    assert "refuses this token" in house.backfill().sentence
    assert shown.all == before
